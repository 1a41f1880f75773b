"""What every wing uses: settings, folders and logs; the tables of the database, and how rows are read and written; files for spreadsheets; mails."""
