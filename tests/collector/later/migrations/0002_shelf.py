from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("collector", "0001_initial")]
    operations = [migrations.AddField("gate", "shelf", models.CharField(max_length=20, null=True))]
