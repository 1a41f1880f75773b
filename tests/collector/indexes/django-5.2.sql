CREATE UNIQUE INDEX "fact_once" ON "collector_entry" ("uid") WHERE NOT "is_copy";
CREATE UNIQUE INDEX "quarantined_number_once" ON "collector_quarantine" ("journal_id", "seq") WHERE "counts";
CREATE INDEX "session_end_undated" ON "collector_usagesession" ("last_boot") WHERE NOT "last_timed";
CREATE INDEX "session_machine_uncertain" ON "collector_usagesession" ("machine_id", "ended_at", "id") WHERE ("ended_at" IS NOT NULL AND "uncertain");
CREATE INDEX "session_member_uncertain" ON "collector_usagesession" ("used_by", "ended_at", "id") WHERE ("ended_at" IS NOT NULL AND "uncertain");
CREATE INDEX "session_open" ON "collector_usagesession" ("id") WHERE (NOT "has_end" AND "reason" IS NULL);
CREATE INDEX "session_start_undated" ON "collector_usagesession" ("start_boot") WHERE NOT "start_timed";
CREATE INDEX "session_uncertain" ON "collector_usagesession" ("ended_at", "id") WHERE ("ended_at" IS NOT NULL AND "uncertain");
CREATE INDEX "session_unended" ON "collector_usagesession" ("gate_id") WHERE NOT "has_end";
