"""The tables of fabgate 0.1.0."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import fabgate.collector.models.fields

#: A gate is next to one machine, and a member has one category. PostgreSQL takes these columns for independent of each
#: other: it expected four times as many groups in a month as there are, too many to add up in memory, and sorted the rows
#: in a file, which took longer than the rest of the report.
_DEPENDENT_COLUMNS = """CREATE STATISTICS usage_day_alike (ndistinct)
ON machine_key, gate_id, used_by, category FROM collector_usageday"""


def add_statistics(apps, schema_editor):
    """SQLite does not need it: it reads the rows in any case."""
    if schema_editor.connection.vendor == 'postgresql':
        schema_editor.execute(_DEPENDENT_COLUMNS)


class CreateModels(migrations.SeparateDatabaseAndState):
    """Creates many tables at once. One by one, Django makes all related models again for each: 0.9 s instead of 0.1 s.

    Price: the tables cannot be removed by migrating back; a collector is removed with its folder.
    """

    def state_forwards(self, app_label, state):
        """Add the models to the state, and let the next step make all of them once."""
        state.__dict__.pop('apps', None)
        super().state_forwards(app_label, state)

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        """Create the tables in the order of the models."""
        for operation in self.state_operations:
            schema_editor.create_model(to_state.apps.get_model(app_label, operation.name))


class Migration(migrations.Migration):
    """Its models are as Django wrote them, each after those that it refers to."""

    initial = True

    dependencies = [
    ]

    operations = [
        CreateModels(state_operations=[
            migrations.CreateModel(
                name='Machine',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('name', models.CharField(max_length=63, unique=True)),
                    ('title', models.CharField(blank=True, max_length=120)),
                    ('category', models.CharField(blank=True, max_length=60)),
                    ('note', models.TextField(blank=True)),
                    ('retired_at', models.DateTimeField(blank=True, null=True)),
                    ('rules', models.JSONField(blank=True, default=dict)),
                    ('preset', models.CharField(blank=True, max_length=20)),
                    ('lock_id', models.CharField(blank=True, max_length=64)),
                    ('lock_when', models.CharField(blank=True, max_length=8)),
                    ('lock_reason', models.CharField(blank=True, max_length=200)),
                    ('lock_back', models.CharField(blank=True, max_length=40)),
                    ('locked_by', models.CharField(blank=True, max_length=200)),
                    ('locked_at', models.DateTimeField(blank=True, null=True)),
                    ('lifted', models.JSONField(blank=True, default=list)),
                ],
            ),
            migrations.CreateModel(
                name='Member',
                fields=[
                    ('id', models.CharField(max_length=64, primary_key=True, serialize=False)),
                    ('name', models.CharField(blank=True, max_length=120)),
                    ('lang', models.CharField(default='en', max_length=8)),
                    ('level', models.CharField(choices=[('user', 'user'), ('supervisor', 'supervisor'), ('maintainer', 'maintainer')], default='user', max_length=16)),
                    ('valid_until', models.DateField(blank=True, null=True)),
                    ('grace_days', models.PositiveSmallIntegerField(default=0)),
                    ('supervised', models.BooleanField(default=False)),
                    ('email', models.EmailField(blank=True, max_length=254)),
                    ('note', models.TextField(blank=True)),
                    ('category', models.CharField(blank=True, max_length=60)),
                    ('minor', models.BooleanField(default=False)),
                    ('plan', models.CharField(blank=True, max_length=60)),
                    ('joined_on', models.DateField(blank=True, null=True)),
                    ('left_on', models.DateField(blank=True, null=True)),
                    ('folded', models.CharField(default='', editable=False, max_length=300)),
                    ('machines', models.ManyToManyField(blank=True, related_name='members', to='collector.machine')),
                    ('payer', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='pays_for', to='collector.member')),
                ],
                options={
                    'indexes': [models.Index(fields=['folded', 'id'], name='member_by_name')],
                },
            ),
            migrations.CreateModel(
                name='Account',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('password', models.CharField(max_length=128, verbose_name='password')),
                    ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                    ('name', models.CharField(max_length=63, unique=True)),
                    ('display_name', models.CharField(blank=True, max_length=120)),
                    ('email', models.EmailField(blank=True, max_length=254)),
                    ('role', models.CharField(choices=[('manager', 'Manager'), ('desk', 'Desk'), ('trainer', 'Trainer'), ('maintainer', 'Maintainer'), ('accountant', 'Accountant'), ('auditor', 'Auditor'), ('member', 'Member')], max_length=16)),
                    ('lang', models.CharField(blank=True, max_length=8)),
                    ('is_active', models.BooleanField(default=True)),
                    ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('member', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='accounts', to='collector.member')),
                ],
                options={
                    'abstract': False,
                },
            ),
            migrations.CreateModel(
                name='Gate',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('name', models.CharField(max_length=63, unique=True)),
                    ('token_hash', models.CharField(blank=True, max_length=64)),
                    ('roster_version', models.BigIntegerField(default=0)),
                    ('online', models.BooleanField(default=False)),
                    ('boot', models.CharField(blank=True, max_length=64)),
                    ('journal', models.CharField(blank=True, max_length=64)),
                    ('reported_roster', models.BigIntegerField(default=0)),
                    ('seen_at', models.DateTimeField(blank=True, null=True)),
                    ('hints', models.JSONField(blank=True, default=dict)),
                    ('state', models.CharField(blank=True, max_length=16)),
                    ('causes', models.JSONField(blank=True, default=list)),
                    ('session', models.CharField(blank=True, max_length=64)),
                    ('session_member', models.CharField(blank=True, max_length=200)),
                    ('state_since', models.DateTimeField(blank=True, null=True)),
                    ('energised_ms', models.BigIntegerField(default=0)),
                    ('running_ms', models.BigIntegerField(default=0)),
                    ('ran_at', models.DateTimeField(blank=True, null=True)),
                    ('synced', models.BooleanField(default=True)),
                    ('clock_off_ms', models.BigIntegerField(blank=True, null=True)),
                    ('earliest_at', models.DateTimeField(blank=True, null=True)),
                    ('roster_confirmed_at', models.DateTimeField(blank=True, null=True)),
                    ('problems', models.JSONField(blank=True, default=list)),
                    ('reader', models.CharField(blank=True, max_length=200)),
                    ('version', models.CharField(blank=True, max_length=200)),
                    ('head', models.BigIntegerField(default=0)),
                    ('mark', models.BigIntegerField(default=0)),
                    ('head_at', models.DateTimeField(blank=True, null=True)),
                    ('quarantine_dropped', models.BigIntegerField(default=0)),
                    ('too_much_at', models.DateTimeField(blank=True, null=True)),
                    ('machine', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='gates', to='collector.machine')),
                ],
            ),
            migrations.CreateModel(
                name='Heartbeat',
                fields=[
                    ('name', models.CharField(max_length=16, primary_key=True, serialize=False)),
                    ('at', models.DateTimeField()),
                    ('trouble', models.CharField(blank=True, max_length=200)),
                    ('broker_until', models.DateTimeField(null=True)),
                ],
            ),
            migrations.CreateModel(
                name='Pulse',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('topic', models.CharField(max_length=16)),
                    ('gate', models.CharField(blank=True, max_length=63)),
                    ('at', models.DateTimeField()),
                ],
            ),
            migrations.CreateModel(
                name='ApiKey',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('name', models.CharField(max_length=120)),
                    ('prefix', models.CharField(max_length=12)),
                    ('token_hash', models.CharField(max_length=64, unique=True)),
                    ('scopes', models.JSONField(default=list)),
                    ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('expires_at', models.DateTimeField(blank=True, null=True)),
                    ('last_used_at', models.DateTimeField(blank=True, null=True)),
                    ('revoked_at', models.DateTimeField(blank=True, null=True)),
                    ('made_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='api_keys', to=settings.AUTH_USER_MODEL)),
                ],
            ),
            migrations.CreateModel(
                name='Change',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('at', models.DateTimeField()),
                    ('actor', models.CharField(max_length=200)),
                    ('verb', models.CharField(max_length=40)),
                    ('kind', models.CharField(max_length=40)),
                    ('key', models.CharField(max_length=200)),
                    ('before', models.JSONField(default=dict)),
                    ('after', models.JSONField(default=dict)),
                    ('reason', models.CharField(blank=True, max_length=200)),
                    ('rosters', models.JSONField(default=dict)),
                ],
                options={
                    'indexes': [models.Index(fields=['at', 'id'], name='change_at'), models.Index(fields=['kind', 'key', 'at'], name='change_of')],
                },
            ),
            migrations.CreateModel(
                name='Collector',
                fields=[
                    ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                    ('collector', models.CharField(max_length=64)),
                    ('site', models.CharField(max_length=63)),
                    ('rolled_tz', models.CharField(blank=True, max_length=63)),
                    ('lang', models.CharField(blank=True, max_length=8)),
                    ('place', models.CharField(blank=True, max_length=200)),
                ],
                options={
                    'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='only_one_collector')],
                },
            ),
            migrations.CreateModel(
                name='FailedSignIn',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('name', models.CharField(max_length=63)),
                    ('address', models.CharField(max_length=45)),
                    ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ],
                options={
                    'indexes': [models.Index(fields=['name', 'at'], name='failed_sign_in_name'), models.Index(fields=['address', 'at'], name='failed_sign_in_address')],
                },
            ),
            migrations.CreateModel(
                name='ServedRoster',
                fields=[
                    ('gate', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='collector.gate')),
                    ('body', models.BinaryField()),
                ],
            ),
            migrations.CreateModel(
                name='Journal',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('name', models.CharField(max_length=64, unique=True)),
                    ('predecessor', models.CharField(blank=True, max_length=64)),
                    ('is_root', models.BooleanField(default=False)),
                    ('ack_seq', models.BigIntegerField(default=0)),
                    ('ack_hash', models.BinaryField(default=b'\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00')),
                    ('floor', models.BigIntegerField(default=1)),
                    ('head', models.BigIntegerField(default=0)),
                    ('fork_mark', models.BigIntegerField(blank=True, null=True)),
                    ('fork_head', models.BigIntegerField(blank=True, null=True)),
                    ('cloned', models.BooleanField(default=False)),
                    ('gate', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='journals', to='collector.gate')),
                    ('superseded_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.journal')),
                ],
            ),
            migrations.CreateModel(
                name='Hole',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('first', models.BigIntegerField()),
                    ('last', models.BigIntegerField()),
                    ('state', models.CharField(choices=[('lost', 'lost'), ('filled', 'filled'), ('copied', 'copied')], max_length=8)),
                    ('found_at', models.DateTimeField()),
                    ('journal', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='holes', to='collector.journal')),
                ],
            ),
            migrations.CreateModel(
                name='Group',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('name', models.CharField(max_length=120, unique=True)),
                    ('kind', models.CharField(choices=[('class', 'class'), ('company', 'company')], max_length=8)),
                    ('note', models.TextField(blank=True)),
                    ('ended_on', models.DateField(blank=True, null=True)),
                    ('machines', models.ManyToManyField(blank=True, related_name='groups', to='collector.machine')),
                    ('members', models.ManyToManyField(blank=True, related_name='groups', to='collector.member')),
                    ('payer', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='pays_for_groups', to='collector.member')),
                ],
            ),
            migrations.CreateModel(
                name='Block',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('reason', models.CharField(max_length=64)),
                    ('until', models.DateField(blank=True, null=True)),
                    ('actor', models.CharField(max_length=200)),
                    ('at', models.DateTimeField()),
                    ('lifted_by', models.CharField(blank=True, max_length=200)),
                    ('lifted_at', models.DateTimeField(blank=True, null=True)),
                    ('member', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='blocks', to='collector.member')),
                ],
                options={
                    'indexes': [models.Index(condition=models.Q(('lifted_at__isnull', True)), fields=['until'], name='block_holds')],
                    'constraints': [models.UniqueConstraint(condition=models.Q(('lifted_at__isnull', True)), fields=('member', 'reason'), name='block_once')],
                },
            ),
            migrations.CreateModel(
                name='Badge',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('spelling', models.CharField(blank=True, max_length=24)),
                    ('digest', models.CharField(max_length=64)),
                    ('key_id', models.CharField(blank=True, max_length=64)),
                    ('number', models.CharField(blank=True, max_length=40)),
                    ('kind', models.CharField(choices=[('personal', 'personal'), ('loan', 'loan'), ('class', 'class'), ('company', 'company')], default='personal', max_length=8)),
                    ('since', models.DateTimeField(default=django.utils.timezone.now)),
                    ('until', models.DateTimeField(blank=True, null=True)),
                    ('ended_at', models.DateTimeField(blank=True, null=True)),
                    ('ended_by', models.CharField(blank=True, max_length=200)),
                    ('end_reason', models.CharField(blank=True, choices=[('returned', 'returned'), ('lost', 'lost'), ('left', 'left'), ('replaced', 'replaced'), ('over', 'over')], max_length=8)),
                    ('group', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='badges', to='collector.group')),
                    ('member', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='badges', to='collector.member')),
                ],
                options={
                    'indexes': [models.Index(fields=['digest', 'since'], name='badge_digest_since')],
                    'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at', None), models.Q(('spelling', ''), _negated=True)), fields=('spelling',), name='badge_carried_once'), models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('digest',), name='digest_carried_once'), models.UniqueConstraint(condition=models.Q(('ended_at', None), models.Q(('number', ''), _negated=True)), fields=('number',), name='badge_number_carried_once'), models.CheckConstraint(condition=models.Q(('member__isnull', False), ('group__isnull', False), _connector='OR'), name='badge_is_somebodys')],
                },
            ),
            migrations.CreateModel(
                name='OneTimeLink',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('token_hash', models.CharField(max_length=64, unique=True)),
                    ('purpose', models.CharField(choices=[('first', 'first'), ('invite', 'invite'), ('reset', 'reset')], max_length=8)),
                    ('made_by', models.CharField(blank=True, max_length=200)),
                    ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('expires_at', models.DateTimeField()),
                    ('used_at', models.DateTimeField(blank=True, null=True)),
                    ('account', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='links', to=settings.AUTH_USER_MODEL)),
                ],
            ),
            migrations.CreateModel(
                name='Opening',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('category', models.CharField(blank=True, max_length=60)),
                    ('days', models.JSONField(default=list)),
                    ('start', models.TimeField()),
                    ('to', models.TimeField()),
                    ('machine', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.machine')),
                ],
                options={
                    'constraints': [models.CheckConstraint(condition=models.Q(('machine', None), ('category', ''), _connector='OR'), name='opening_of_one_scope')],
                },
            ),
            migrations.CreateModel(
                name='Order',
                fields=[
                    ('id', models.CharField(max_length=64, primary_key=True, serialize=False)),
                    ('command', models.CharField(max_length=20)),
                    ('actor', models.CharField(max_length=200)),
                    ('reason', models.CharField(blank=True, max_length=200)),
                    ('at', models.DateTimeField(db_index=True)),
                    ('until', models.DateTimeField()),
                    ('outcome', models.CharField(blank=True, max_length=200)),
                    ('detail', models.TextField(blank=True)),
                    ('answered_at', models.DateTimeField(blank=True, null=True)),
                    ('gate', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='orders', to='collector.gate')),
                ],
            ),
            migrations.CreateModel(
                name='Quarantine',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('topic', models.TextField()),
                    ('journal_name', models.CharField(blank=True, max_length=64)),
                    ('seq', models.BigIntegerField(default=0)),
                    ('reason', models.CharField(max_length=40)),
                    ('detail', models.TextField(blank=True)),
                    ('hash', models.BinaryField()),
                    ('body', models.BinaryField()),
                    ('counts', fabgate.collector.models.fields.Flag(default=False)),
                    ('times', models.BigIntegerField(default=1)),
                    ('first_at', models.DateTimeField()),
                    ('last_at', models.DateTimeField()),
                    ('gate', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='quarantine', to='collector.gate')),
                    ('journal', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='quarantine', to='collector.journal')),
                ],
                options={
                    'verbose_name_plural': 'quarantine',
                    'indexes': [models.Index(fields=['gate', 'counts', 'id'], name='quarantine_of_gate')],
                    'constraints': [models.UniqueConstraint(fields=('journal_name', 'seq', 'hash', 'topic'), name='quarantine_once'), models.UniqueConstraint(condition=models.Q(('counts', True)), fields=('journal', 'seq'), name='quarantined_number_once')],
                },
            ),
            migrations.CreateModel(
                name='Refusal',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('seq', models.BigIntegerField()),
                    ('member', models.CharField(blank=True, max_length=200)),
                    ('badge', models.CharField(max_length=200)),
                    ('reasons', models.JSONField(default=list)),
                    ('at', models.DateTimeField()),
                    ('is_timed', models.BooleanField(default=True)),
                    ('seen_at', models.DateTimeField()),
                    ('clock_off_ms', models.BigIntegerField(null=True)),
                    ('about', models.GeneratedField(db_persist=True, expression=models.Case(models.When(clock_off_ms=None, then=models.F('at')), default=models.F('seen_at')), output_field=models.DateTimeField())),
                    ('gate', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='refusals', to='collector.gate')),
                    ('journal', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.journal')),
                    ('machine', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.machine')),
                ],
                options={
                    'indexes': [models.Index(fields=['about', 'id'], name='refusal_about'), models.Index(condition=models.Q(('member', ''), _negated=True), fields=['member', 'about'], name='refusal_member'), models.Index(condition=models.Q(('member', '')), fields=['badge', 'about'], name='refusal_stranger')],
                },
            ),
            migrations.CreateModel(
                name='RosterLimit',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('version', models.BigIntegerField()),
                    ('longest_s', models.BigIntegerField()),
                    ('gate', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='collector.gate')),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('version', 'gate'), name='roster_limit_once')],
                },
            ),
            migrations.CreateModel(
                name='SignIn',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('seen_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('address', models.CharField(blank=True, max_length=45)),
                    ('user_agent', models.CharField(blank=True, max_length=300)),
                    ('revoked_at', models.DateTimeField(blank=True, null=True)),
                    ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='sign_ins', to=settings.AUTH_USER_MODEL)),
                ],
                options={
                    'indexes': [models.Index(fields=['account', '-seen_at'], name='sign_in_of_account')],
                },
            ),
            migrations.CreateModel(
                name='SpecialDay',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('category', models.CharField(blank=True, max_length=60)),
                    ('day', models.DateField(db_index=True)),
                    ('start', models.TimeField(blank=True, null=True)),
                    ('to', models.TimeField(blank=True, null=True)),
                    ('note', models.CharField(blank=True, max_length=120)),
                    ('machine', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.machine')),
                ],
                options={
                    'constraints': [models.CheckConstraint(condition=models.Q(('machine', None), ('category', ''), _connector='OR'), name='special_day_of_one_scope'), models.CheckConstraint(condition=models.Q(models.Q(('start', None), ('to', None)), models.Q(('start__isnull', False), ('to__isnull', False)), _connector='OR'), name='special_day_has_both_ends')],
                },
            ),
            migrations.CreateModel(
                name='Training',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('name', models.CharField(max_length=63, unique=True)),
                    ('title', models.CharField(blank=True, max_length=120)),
                    ('description', models.TextField(blank=True)),
                    ('expires_after_days', models.PositiveIntegerField(blank=True, null=True)),
                    ('machines', models.ManyToManyField(blank=True, related_name='trainings', to='collector.machine')),
                    ('prerequisite', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='opens', to='collector.training')),
                    ('trainers', models.ManyToManyField(blank=True, related_name='trains', to=settings.AUTH_USER_MODEL)),
                ],
            ),
            migrations.CreateModel(
                name='Grant',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('stage', models.CharField(choices=[('supervised', 'supervised'), ('autonomous', 'autonomous'), ('instructor', 'instructor'), ('suspended', 'suspended')], max_length=12)),
                    ('since', models.DateField()),
                    ('until', models.DateField(blank=True, null=True)),
                    ('trainer', models.CharField(blank=True, max_length=200)),
                    ('revoked_on', models.DateField(blank=True, null=True)),
                    ('revoked_by', models.CharField(blank=True, max_length=200)),
                    ('reason', models.CharField(blank=True, max_length=200)),
                    ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                    ('member', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='collector.member')),
                    ('training', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='collector.training')),
                ],
                options={
                    'indexes': [models.Index(fields=['training', 'member'], name='grant_training_member')],
                },
            ),
            migrations.CreateModel(
                name='UsageDay',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('day', models.DateField()),
                    ('machine_key', models.BigIntegerField()),
                    ('used_by', models.CharField(max_length=200)),
                    ('category', models.CharField(blank=True, max_length=60)),
                    ('sessions', models.BigIntegerField()),
                    ('counted_ms', models.BigIntegerField()),
                    ('running_ms', models.BigIntegerField()),
                    ('uncertainty_ms', models.BigIntegerField()),
                    ('uncertain', models.BigIntegerField()),
                    ('about', models.BigIntegerField()),
                    ('gate', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.gate')),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('day', 'machine_key', 'gate', 'used_by', 'category'), name='usage_day_once')],
                },
            ),
            migrations.CreateModel(
                name='UsageMonth',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('day', models.DateField()),
                    ('machine_key', models.BigIntegerField()),
                    ('used_by', models.CharField(max_length=200)),
                    ('category', models.CharField(blank=True, max_length=60)),
                    ('sessions', models.BigIntegerField()),
                    ('counted_ms', models.BigIntegerField()),
                    ('running_ms', models.BigIntegerField()),
                    ('uncertainty_ms', models.BigIntegerField()),
                    ('uncertain', models.BigIntegerField()),
                    ('about', models.BigIntegerField()),
                    ('gate', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.gate')),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('day', 'machine_key', 'gate', 'used_by', 'category'), name='usage_month_once')],
                },
            ),
            migrations.CreateModel(
                name='UsageSession',
                fields=[
                    ('id', models.CharField(max_length=64, primary_key=True, serialize=False)),
                    ('member', models.CharField(max_length=200)),
                    ('badge', models.CharField(max_length=200)),
                    ('started_at', models.DateTimeField(null=True)),
                    ('start_timed', fabgate.collector.models.fields.Flag(default=False)),
                    ('start_boot', models.CharField(blank=True, max_length=64)),
                    ('start_boottime_ms', models.BigIntegerField(default=0)),
                    ('has_start', models.BooleanField(default=False)),
                    ('category', models.CharField(blank=True, max_length=60)),
                    ('earlier_holder', models.BooleanField(default=False)),
                    ('mode', models.CharField(blank=True, max_length=200)),
                    ('basis', models.CharField(blank=True, max_length=200)),
                    ('supervisor', models.CharField(max_length=200, null=True)),
                    ('ended_at', models.DateTimeField(null=True)),
                    ('reason', models.CharField(max_length=200, null=True)),
                    ('energised_ms', models.BigIntegerField(default=0)),
                    ('running_ms', models.BigIntegerField(default=0)),
                    ('uncertainty_ms', models.BigIntegerField(default=0)),
                    ('review', models.CharField(max_length=40, null=True)),
                    ('doubt', models.CharField(max_length=40, null=True)),
                    ('uncertain', fabgate.collector.models.fields.Flag(default=False)),
                    ('used_by', models.CharField(blank=True, max_length=200)),
                    ('payer', models.CharField(blank=True, max_length=200)),
                    ('purpose', models.CharField(blank=True, max_length=16)),
                    ('counted_ms', models.BigIntegerField(default=0)),
                    ('corrected', models.CharField(blank=True, max_length=40)),
                    ('not_before', models.DateTimeField(null=True)),
                    ('not_after', models.DateTimeField(null=True)),
                    ('has_end', fabgate.collector.models.fields.Flag(default=False)),
                    ('end_reason', models.CharField(blank=True, max_length=200)),
                    ('last_at', models.DateTimeField(null=True)),
                    ('last_arrived_at', models.DateTimeField(null=True)),
                    ('last_timed', fabgate.collector.models.fields.Flag(default=False)),
                    ('last_boot', models.CharField(blank=True, max_length=64)),
                    ('last_boottime_ms', models.BigIntegerField(default=0)),
                    ('last_energised_ms', models.BigIntegerField(default=0)),
                    ('opened_seq', models.BigIntegerField(default=0)),
                    ('hint_ms', models.BigIntegerField(default=0)),
                    ('clock_off_ms', models.BigIntegerField(null=True)),
                    ('early_ms', models.BigIntegerField(default=0)),
                    ('allowed_ms', models.BigIntegerField(null=True)),
                    ('gate', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='sessions', to='collector.gate')),
                    ('machine', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='sessions', to='collector.machine')),
                    ('opened_in', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.journal')),
                ],
                options={
                    'indexes': [models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['ended_at', 'id', 'started_at', 'reason'], name='session_ended'), models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['used_by', 'ended_at', 'id', 'machine', 'reason'], name='session_of_member'), models.Index(condition=models.Q(('ended_at__isnull', False)), fields=['machine', 'ended_at', 'id', 'reason'], name='session_of_machine'), models.Index(condition=models.Q(('ended_at__isnull', False), ('uncertain', True)), fields=['ended_at', 'id'], name='session_uncertain'), models.Index(condition=models.Q(('ended_at__isnull', False), ('uncertain', True)), fields=['used_by', 'ended_at', 'id'], name='session_member_uncertain'), models.Index(condition=models.Q(('ended_at__isnull', False), ('uncertain', True)), fields=['machine', 'ended_at', 'id'], name='session_machine_uncertain'), models.Index(condition=models.Q(('has_end', False), ('reason__isnull', True)), fields=['id'], name='session_open'), models.Index(condition=models.Q(('has_end', False)), fields=['gate'], name='session_unended'), models.Index(condition=models.Q(('start_timed', False)), fields=['start_boot'], name='session_start_undated'), models.Index(condition=models.Q(('last_timed', False)), fields=['last_boot'], name='session_end_undated'), models.Index(condition=models.Q(('not_after__isnull', False)), fields=['gate'], name='session_placed')],
                },
            ),
            migrations.CreateModel(
                name='Review',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('why', models.CharField(max_length=40)),
                    ('opened_at', models.DateTimeField()),
                    ('settled_at', models.DateTimeField(blank=True, null=True)),
                    ('settled_by', models.CharField(blank=True, max_length=200)),
                    ('decision', models.CharField(blank=True, max_length=16)),
                    ('note', models.CharField(blank=True, max_length=200)),
                    ('session', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='review_case', to='collector.usagesession')),
                ],
                options={
                    'indexes': [models.Index(condition=models.Q(('settled_at__isnull', True)), fields=['opened_at'], name='review_waiting')],
                },
            ),
            migrations.CreateModel(
                name='LedgerLine',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('kind', models.CharField(choices=[('ended', 'ended'), ('changed', 'changed'), ('corrected', 'corrected'), ('reviewed', 'reviewed'), ('withdrawn', 'withdrawn')], max_length=10)),
                    ('at', models.DateTimeField()),
                    ('author', models.CharField(blank=True, max_length=200)),
                    ('why', models.CharField(blank=True, max_length=200)),
                    ('used_by', models.CharField(max_length=200)),
                    ('payer', models.CharField(max_length=200)),
                    ('purpose', models.CharField(max_length=16)),
                    ('category', models.CharField(blank=True, max_length=60)),
                    ('started_at', models.DateTimeField(null=True)),
                    ('ended_at', models.DateTimeField(null=True)),
                    ('not_before', models.DateTimeField(null=True)),
                    ('counted_ms', models.BigIntegerField()),
                    ('running_ms', models.BigIntegerField()),
                    ('uncertainty_ms', models.BigIntegerField()),
                    ('reason', models.CharField(blank=True, max_length=200)),
                    ('review', models.CharField(blank=True, max_length=40)),
                    ('session', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.usagesession')),
                ],
            ),
            migrations.CreateModel(
                name='Correction',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('field', models.CharField(choices=[('member', 'member'), ('payer', 'payer'), ('purpose', 'purpose'), ('time', 'time')], max_length=8)),
                    ('old', models.CharField(blank=True, max_length=200)),
                    ('new', models.CharField(blank=True, max_length=200)),
                    ('reason', models.CharField(max_length=200)),
                    ('author', models.CharField(max_length=200)),
                    ('at', models.DateTimeField()),
                    ('session', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='corrections', to='collector.usagesession')),
                ],
            ),
            migrations.CreateModel(
                name='Entry',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('seq', models.BigIntegerField()),
                    ('uid', models.CharField(max_length=64)),
                    ('type', models.CharField(max_length=80)),
                    ('body', models.BinaryField()),
                    ('hash', models.BinaryField()),
                    ('arrived_at', models.DateTimeField()),
                    ('occurred_at', models.DateTimeField(null=True)),
                    ('copyof', models.CharField(max_length=200, null=True)),
                    ('is_copy', fabgate.collector.models.fields.Flag(default=False)),
                    ('journal', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='collector.journal')),
                ],
                options={
                    'constraints': [models.UniqueConstraint(fields=('journal', 'seq'), name='entry_once'), models.UniqueConstraint(condition=models.Q(('is_copy', False)), fields=('uid',), name='fact_once')],
                },
            ),
            migrations.CreateModel(
                name='Boot',
                fields=[
                    ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                    ('boot', models.CharField(max_length=64)),
                    ('seq', models.BigIntegerField()),
                    ('from_ms', models.BigIntegerField()),
                    ('tie_ms', models.BigIntegerField(null=True)),
                    ('tie_at', models.DateTimeField(null=True)),
                    ('first_ms', models.BigIntegerField(null=True)),
                    ('first_at', models.DateTimeField(null=True)),
                    ('last_ms', models.BigIntegerField(null=True)),
                    ('last_at', models.DateTimeField(null=True)),
                    ('gate', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='boots', to='collector.gate')),
                    ('journal', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='collector.journal')),
                ],
                options={
                    'indexes': [models.Index(condition=models.Q(('first_at__isnull', False)), fields=['journal', 'seq'], name='boot_dated'), models.Index(condition=models.Q(('first_at__isnull', True)), fields=['journal', 'seq'], name='boot_undated')],
                    'constraints': [models.UniqueConstraint(fields=('gate', 'boot'), name='boot_once')],
                },
            ),
        ]),
        migrations.RunPython(add_statistics, migrations.RunPython.noop),
    ]
