-- A database as the first version (migration 0001) wrote it. Never edit: it is the past.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE dataset_versions (
	dataset_id VARCHAR(40) NOT NULL, 
	version INTEGER NOT NULL, 
	parent INTEGER, 
	manifest TEXT NOT NULL, 
	summary JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	CONSTRAINT pk_dataset_versions PRIMARY KEY (dataset_id, version), 
	CONSTRAINT fk_dataset_versions_dataset_id FOREIGN KEY(dataset_id) REFERENCES datasets (id) ON DELETE CASCADE
);
INSERT INTO "dataset_versions" VALUES('d1',1,NULL,'datasets/d1/v1/manifest.json','{"queries": 2}',1.0);
CREATE TABLE datasets (
	id VARCHAR(40) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	created_at FLOAT NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_datasets PRIMARY KEY (id), 
	CONSTRAINT uq_datasets_name UNIQUE (name)
);
INSERT INTO "datasets" VALUES('d1','first data',1.0,1);
CREATE TABLE evaluations (
	id VARCHAR(40) NOT NULL, 
	job_id VARCHAR(40), 
	dataset_id VARCHAR(40) NOT NULL, 
	version INTEGER NOT NULL, 
	split VARCHAR(20) NOT NULL, 
	model TEXT NOT NULL, 
	model_id VARCHAR(40), 
	queries INTEGER NOT NULL, 
	documents INTEGER NOT NULL, 
	metrics JSON NOT NULL, 
	settings JSON NOT NULL, 
	path TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	CONSTRAINT pk_evaluations PRIMARY KEY (id)
);
INSERT INTO "evaluations" VALUES('e1',NULL,'d1',1,'test','MiniLM',NULL,10,20,'{"map@100": 0.5}','{}','e/e1',1.0);
CREATE TABLE indexes (
	id VARCHAR(40) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	dataset_id VARCHAR(40) NOT NULL, 
	version INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	model_id VARCHAR(40), 
	type VARCHAR(40) NOT NULL, 
	path TEXT NOT NULL, 
	documents INTEGER NOT NULL, 
	bytes BIGINT NOT NULL, 
	contract JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	CONSTRAINT pk_indexes PRIMARY KEY (id), 
	CONSTRAINT uq_indexes_name UNIQUE (name)
);
INSERT INTO "indexes" VALUES('i1','first index','d1',1,'MiniLM',NULL,'exact','indexes/i1',20,5000000000,'{}',0.0);
CREATE TABLE job_events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	job_id VARCHAR(40) NOT NULL, 
	attempt INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	detail TEXT NOT NULL, 
	CONSTRAINT fk_job_events_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "job_events" VALUES(1,'j1',0,1.79522740796558165549e+09,'submitted','counting');
INSERT INTO "job_events" VALUES(2,'j1',1,1.79522740797194838525e+09,'started','heavy');
CREATE TABLE jobs (
	id VARCHAR(40) NOT NULL, 
	task VARCHAR(80) NOT NULL, 
	name TEXT NOT NULL, 
	recipe JSON NOT NULL, 
	status VARCHAR(20) NOT NULL, 
	slot_kind VARCHAR(20) NOT NULL, 
	slot VARCHAR(80), 
	"after" VARCHAR(40), 
	attempt INTEGER NOT NULL, 
	cancel_requested_at FLOAT, 
	supervisor_pid INTEGER, 
	supervisor_started FLOAT, 
	runner_pid INTEGER, 
	runner_started FLOAT, 
	worker_pid INTEGER, 
	worker_started FLOAT, 
	heartbeat_at FLOAT, 
	progress JSON NOT NULL, 
	result JSON, 
	error JSON, 
	created_at FLOAT NOT NULL, 
	started_at FLOAT, 
	finished_at FLOAT, 
	changed_at FLOAT NOT NULL, 
	CONSTRAINT pk_jobs PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('j1','count','counting','{"steps": 3}','running','train','heavy',NULL,1,NULL,10,1.5,4000000,1.0,NULL,NULL,NULL,'{}',NULL,NULL,1.0,1.79522740797058653829e+09,NULL,1.79522740797058653829e+09);
CREATE TABLE metrics (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	job_id VARCHAR(40) NOT NULL, 
	attempt INTEGER NOT NULL, 
	step INTEGER NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	at FLOAT NOT NULL, 
	numbers JSON NOT NULL, 
	CONSTRAINT fk_metrics_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
INSERT INTO "metrics" VALUES(1,'j1',1,1,'train',1.0,'{"loss": 0.5}');
INSERT INTO "metrics" VALUES(2,'j1',1,1,'dev',1.0,'{"map@100": 0.25}');
CREATE TABLE models (
	id VARCHAR(40) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	path TEXT NOT NULL, 
	base TEXT, 
	contract JSON NOT NULL, 
	summary JSON NOT NULL, 
	verdict VARCHAR(40) NOT NULL, 
	job_id VARCHAR(40), 
	created_at FLOAT NOT NULL, 
	CONSTRAINT pk_models PRIMARY KEY (id), 
	CONSTRAINT uq_models_name UNIQUE (name)
);
INSERT INTO "models" VALUES('m1','first model','embedding','models/m1',NULL,'{"pooling": "mean"}','{}','',NULL,1.0);
CREATE INDEX ix_evaluations_dataset_id ON evaluations (dataset_id);
CREATE INDEX ix_evaluations_job_id ON evaluations (job_id);
CREATE INDEX ix_jobs_changed_at ON jobs (changed_at);
CREATE INDEX ix_jobs_status ON jobs (status);
CREATE UNIQUE INDEX uq_jobs_running_slot ON jobs (slot) WHERE status = 'running';
CREATE INDEX ix_job_events_job_id ON job_events (job_id);
CREATE INDEX ix_metrics_job ON metrics (job_id, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('job_events',2);
INSERT INTO "sqlite_sequence" VALUES('metrics',2);
COMMIT;
