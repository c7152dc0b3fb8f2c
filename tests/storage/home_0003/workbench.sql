-- A home as migration 0003 left it. Never edit: it is the past.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
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
INSERT INTO "dataset_versions" VALUES('ce1def2add3e',1,NULL,'datasets/ce1def2add3e/v1/manifest.json','{"format": "query-pos-neg", "documents": 48, "queries": 24, "judgments": 24, "candidates": 24, "pairs": 0, "splits": {"train": 14, "dev": 4, "test": 6}, "problem_counts": {}, "problems_total": 0, "set_aside": {"rows_refused": 0, "files_without_rows": 0, "own_columns": [], "list_texts": 0, "queries_left_out": 0}, "notes": ["There are too few queries to judge a model by: 6 in test, and 50 are the least that say something."], "too_few": true, "bytes": 9335}',1.79602140123470854762e+09);
INSERT INTO "dataset_versions" VALUES('97eb0462bb32',1,NULL,'datasets/97eb0462bb32/v1/manifest.json','{"format": "query-pos-neg", "documents": 32, "queries": 16, "judgments": 16, "candidates": 16, "pairs": 0, "splits": {"train": 12, "dev": 2, "test": 2}, "problem_counts": {}, "problems_total": 0, "set_aside": {"rows_refused": 0, "files_without_rows": 0, "own_columns": [], "list_texts": 0, "queries_left_out": 0}, "notes": ["The files bring no test queries: 2 of train were set aside, by a fixed seed.", "The files bring no dev queries: 2 of train were set aside, by a fixed seed.", "There are too few queries to judge a model by: 2 in test, and 50 are the least that say something."], "too_few": true, "bytes": 8583}',1.79602140438882493973e+09);
INSERT INTO "dataset_versions" VALUES('ce1def2add3e',2,1,'datasets/ce1def2add3e/v2/manifest.json','{"format": "query-pos-neg", "documents": 48, "queries": 23, "judgments": 23, "candidates": 23, "pairs": 0, "splits": {"train": 13, "dev": 4, "test": 6}, "problem_counts": {}, "problems_total": 0, "set_aside": {"rows_refused": 0, "files_without_rows": 0, "own_columns": [], "list_texts": 0, "queries_left_out": 0}, "notes": ["There are too few queries to judge a model by: 6 in test, and 50 are the least that say something."], "too_few": true, "bytes": 9335}',1.79602141025232982631e+09);
CREATE TABLE datasets (
	id VARCHAR(40) NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	created_at FLOAT NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT pk_datasets PRIMARY KEY (id), 
	CONSTRAINT uq_datasets_name UNIQUE (name)
);
INSERT INTO "datasets" VALUES('ce1def2add3e','one',1.79602140123470854762e+09,2);
INSERT INTO "datasets" VALUES('97eb0462bb32','two',1.79602140438882493973e+09,1);
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
INSERT INTO "evaluations" VALUES('ed42eb01655d','0566ffce85','ce1def2add3e',2,'train','bm25',NULL,13,48,'{"map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}','{"dataset": "one", "split": "train", "rerankers": [], "also": "two", "dimensions": "", "way": "auto", "candidates": 50, "first_stage": "auto", "exact_documents": 5000, "dataset_version": 2, "max_queries": null, "top_k": 100, "exclude_query_document": "auto", "metric": "map@100", "precision": "auto", "device": "auto", "use_cache": true, "seed": 7, "row": "bm25", "kind": "bm25", "searched": "all documents"}','evaluations/ed42eb01655d',1.79602143473368048662e+09);
INSERT INTO "evaluations" VALUES('14bcbfa6dd81','0566ffce85','ce1def2add3e',2,'train','all-MiniLM-L6-v2','453066b31258',13,48,'{"map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}','{"dataset": "one", "split": "train", "rerankers": [], "also": "two", "dimensions": "", "way": "auto", "candidates": 50, "first_stage": "auto", "exact_documents": 5000, "dataset_version": 2, "max_queries": null, "top_k": 100, "exclude_query_document": "auto", "metric": "map@100", "precision": "auto", "device": "auto", "use_cache": true, "seed": 7, "row": "all-MiniLM-L6-v2", "kind": "embedding", "searched": "all documents", "query_max_len": 256, "passage_max_len": 256}','evaluations/14bcbfa6dd81',1.79602143474084281924e+09);
INSERT INTO "evaluations" VALUES('f83f3d42db68','0566ffce85','97eb0462bb32',1,'train','bm25',NULL,12,32,'{"map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}','{"dataset": "two", "split": "train", "rerankers": [], "also": "", "dimensions": "", "way": "auto", "candidates": 50, "first_stage": "auto", "exact_documents": 5000, "dataset_version": null, "max_queries": null, "top_k": 100, "exclude_query_document": "auto", "metric": "map@100", "precision": "auto", "device": "auto", "use_cache": true, "seed": 7, "row": "bm25", "kind": "bm25", "searched": "all documents"}','evaluations/f83f3d42db68',1.79602143490229153636e+09);
INSERT INTO "evaluations" VALUES('931e88bc7fe9','0566ffce85','97eb0462bb32',1,'train','all-MiniLM-L6-v2','453066b31258',12,32,'{"map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}','{"dataset": "two", "split": "train", "rerankers": [], "also": "", "dimensions": "", "way": "auto", "candidates": 50, "first_stage": "auto", "exact_documents": 5000, "dataset_version": null, "max_queries": null, "top_k": 100, "exclude_query_document": "auto", "metric": "map@100", "precision": "auto", "device": "auto", "use_cache": true, "seed": 7, "row": "all-MiniLM-L6-v2", "kind": "embedding", "searched": "all documents", "query_max_len": 256, "passage_max_len": 256}','evaluations/931e88bc7fe9',1.79602143490827369687e+09);
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
	created_at FLOAT NOT NULL, summary JSON DEFAULT '{}' NOT NULL, 
	CONSTRAINT pk_indexes PRIMARY KEY (id), 
	CONSTRAINT uq_indexes_name UNIQUE (name)
);
CREATE TABLE job_events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	job_id VARCHAR(40) NOT NULL, 
	attempt INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	detail TEXT NOT NULL, 
	CONSTRAINT fk_job_events_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
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
	changed_at FLOAT NOT NULL, bytes BIGINT, 
	CONSTRAINT pk_jobs PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('333604fcc3','import','one','{"paths": ["/home/ada/one"], "name": "one", "strict": false, "encoding": "auto", "header": "auto", "scores": "auto", "mapping": [], "hub_subset": "", "hub_split": "", "pieces": "files", "piece_size": 256, "piece_overlap": 32, "piece_model": "all-MiniLM-L6-v2", "dev_share": 0.1, "test_share": 0.1, "held_out_limit": 1000, "seed": 13, "remove_after": false}','succeeded','light','light',NULL,1,NULL,17473,32408.11,17479,32409.75,17481,32409.86,1.79602140123937487601e+09,'{"done": 4241, "total": 4241, "unit": "bytes", "message": "reading one/train.jsonl", "rate": 731743.8576572028, "seconds_left": 0.0, "phase": "reading one/train.jsonl"}','{"name": "one", "format": "query-pos-neg", "documents": 48, "queries": 24, "judgments": 24, "candidates": 24, "pairs": 0, "splits": {"train": 14, "dev": 4, "test": 6}, "problem_counts": {}, "problems_total": 0, "set_aside": {"rows_refused": 0, "files_without_rows": 0, "own_columns": [], "list_texts": 0, "queries_left_out": 0}, "notes": ["There are too few queries to judge a model by: 6 in test, and 50 are the least that say something."], "too_few": true, "bytes": 9335, "problems": []}',NULL,1.79602139989317679405e+09,1.7960213999092259407e+09,1.7960214013619732856e+09,1.7960214013619732856e+09,1330);
INSERT INTO "jobs" VALUES('eeb114c8b7','import','two','{"paths": ["/home/ada/two.jsonl"], "name": "two", "strict": false, "encoding": "auto", "header": "auto", "scores": "auto", "mapping": [], "hub_subset": "", "hub_split": "", "pieces": "files", "piece_size": 256, "piece_overlap": 32, "piece_model": "all-MiniLM-L6-v2", "dev_share": 0.1, "test_share": 0.1, "held_out_limit": 1000, "seed": 13, "remove_after": false}','succeeded','light','light',NULL,1,NULL,17488,32411.78,17494,32413.07,17496,32413.19,1.79602140439134240154e+09,'{"done": 2952, "total": 2952, "unit": "bytes", "message": "reading two.jsonl", "rate": null, "seconds_left": null, "phase": "reading two.jsonl"}','{"name": "two", "format": "query-pos-neg", "documents": 32, "queries": 16, "judgments": 16, "candidates": 16, "pairs": 0, "splits": {"train": 12, "dev": 2, "test": 2}, "problem_counts": {}, "problems_total": 0, "set_aside": {"rows_refused": 0, "files_without_rows": 0, "own_columns": [], "list_texts": 0, "queries_left_out": 0}, "notes": ["The files bring no test queries: 2 of train were set aside, by a fixed seed.", "The files bring no dev queries: 2 of train were set aside, by a fixed seed.", "There are too few queries to judge a model by: 2 in test, and 50 are the least that say something."], "too_few": true, "bytes": 8583, "problems": []}',NULL,1.79602140319547224039e+09,1.7960214032213933468e+09,1.79602140445677876468e+09,1.79602140445677876468e+09,1502);
INSERT INTO "jobs" VALUES('86af079078','doctor','doctor','{"dataset": "one", "dataset_version": 1, "checks": [], "tokenizer": "", "query_max_len": 64, "passage_max_len": 128, "judge": "", "judged_split": "all", "judged_queries": 1000, "margin": 0.0, "similarity": 0.85, "many_queries": 100, "imbalance": 20.0, "language_share": 0.01, "precision": "auto", "device": "auto", "use_cache": true, "seed": 13}','succeeded','light','light',NULL,1,NULL,17503,32414.94,17509,32416.06,17511,32416.19,1.79602140876743674282e+09,'{"done": 11.0, "total": 11, "unit": "checks", "message": "writing the report", "rate": 7.677865761047544, "seconds_left": 0.0, "phase": "writing the report"}','{"dataset": "one", "dataset_id": "ce1def2add3e", "version": 1, "checks": ["queries", "texts", "splits", "duplicates", "near-duplicates", "captions", "negatives", "popular", "imbalance", "languages", "false-negatives"], "notes": ["Cut texts were not looked for: no model was chosen to count tokens.", "Likely false negatives were not looked for: no judge was chosen. Choose a model as the judge of negatives (on the command line: --judge MODEL) and examine again."], "findings": [{"code": "empty-query", "severity": "error", "count": 1, "of": 24, "share": 0.041667, "sentence": "1 query without a letter or a digit: nothing can be found by them.", "examples": 1, "mends": [{"code": "drop-empty-queries", "sentence": "Leave 1 query out, in every split.", "counts": {"drop_queries": 1}}]}]}',NULL,1.7960214061859707832e+09,1.79602140621105980868e+09,1.7960214088690338135e+09,1.7960214088690338135e+09,3012);
INSERT INTO "jobs" VALUES('73ce7b80fe','doctor-mend','doctor-mend','{"dataset": "one", "dataset_version": 1, "report": "86af079078", "mends": ["drop-empty-queries"]}','succeeded','light','light',NULL,1,NULL,17503,32414.94,17520,32418.83,17522,32418.92,1.79602141026006078715e+09,'{"done": 0, "total": null, "unit": "", "message": "writing judgments", "rate": null, "seconds_left": null, "phase": "writing judgments"}','{"dataset": "one", "from_version": 1, "version": 2, "mends": ["drop-empty-queries"], "sentences": ["Leave 1 query out, in every split."], "before": {"queries": 24, "documents": 48, "judgments": 24, "candidates": 24, "pairs": 0}, "after": {"queries": 23, "documents": 48, "judgments": 23, "candidates": 23, "pairs": 0}}',NULL,1.79602140896681404112e+09,1.79602140898280239109e+09,1.79602141041464519501e+09,1.79602141041464519501e+09,881);
INSERT INTO "jobs" VALUES('bf455a9bd3','doctor','doctor','{"dataset": "one", "dataset_version": 2, "checks": [], "tokenizer": "", "query_max_len": 64, "passage_max_len": 128, "judge": "", "judged_split": "all", "judged_queries": 1000, "margin": 0.0, "similarity": 0.85, "many_queries": 100, "imbalance": 20.0, "language_share": 0.01, "precision": "auto", "device": "auto", "use_cache": true, "seed": 13}','succeeded','light','light',NULL,1,NULL,17530,32420.7,17536,32421.76,17538,32421.84,1.79602141401422810552e+09,'{"done": 11.0, "total": 11, "unit": "checks", "message": "writing the report", "rate": 9.752179710374726, "seconds_left": 0.0, "phase": "writing the report"}','{"dataset": "one", "dataset_id": "ce1def2add3e", "version": 2, "checks": ["queries", "texts", "splits", "duplicates", "near-duplicates", "captions", "negatives", "popular", "imbalance", "languages", "false-negatives"], "notes": ["Cut texts were not looked for: no model was chosen to count tokens.", "Likely false negatives were not looked for: no judge was chosen. Choose a model as the judge of negatives (on the command line: --judge MODEL) and examine again."], "findings": []}',NULL,1.7960214119040734768e+09,1.79602141192034339906e+09,1.79602141416918730737e+09,1.79602141416918730737e+09,1824);
INSERT INTO "jobs" VALUES('0566ffce85','evaluate','evaluate','{"dataset": "one", "split": "train", "models": ["bm25", "all-MiniLM-L6-v2"], "rerankers": [], "also": "two", "dimensions": "", "way": "auto", "candidates": 50, "first_stage": "auto", "exact_documents": 5000, "dataset_version": 2, "max_queries": null, "top_k": 100, "exclude_query_document": "auto", "metric": "map@100", "precision": "auto", "device": "auto", "use_cache": true, "seed": 7}','succeeded','light','light',NULL,1,NULL,17546,32424.47,17552,32425.56,17554,32425.67,1.79602143491036391259e+09,'{"done": 88, "total": 88, "unit": "texts", "message": "2 of 2: all-MiniLM-L6-v2", "rate": 606.9441780067472, "seconds_left": 0.0, "phase": "2 of 2: all-MiniLM-L6-v2"}','{"dataset": "one", "dataset_version": 2, "split": "train", "documents": 48, "exclude_query_document": "auto", "rows": [{"model": "bm25", "queries": 13, "searched": "all documents", "way": "retrieval", "kind": "bm25", "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}, {"model": "all-MiniLM-L6-v2", "queries": 13, "searched": "all documents", "way": "retrieval", "kind": "embedding", "query_max_len": 256, "passage_max_len": 256, "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}], "comparisons": [{"model": "all-MiniLM-L6-v2", "against": "bm25", "metric": "map@100", "delta": 0.0, "ci95": [0.0, 0.0], "p_value": 1.0, "p_holm": 1.0, "wins": 0, "losses": 0, "ties": 13, "queries": 13, "second_stage": false, "verdict": "too few queries to judge"}], "evaluations": ["ed42eb01655d", "14bcbfa6dd81"], "also": {"dataset": "two", "dataset_version": 1, "split": "train", "documents": 32, "exclude_query_document": "auto", "rows": [{"model": "bm25", "queries": 12, "searched": "all documents", "way": "retrieval", "kind": "bm25", "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}, {"model": "all-MiniLM-L6-v2", "queries": 12, "searched": "all documents", "way": "retrieval", "kind": "embedding", "query_max_len": 256, "passage_max_len": 256, "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}], "comparisons": [{"model": "all-MiniLM-L6-v2", "against": "bm25", "metric": "map@100", "delta": 0.0, "ci95": [0.0, 0.0], "p_value": 1.0, "p_holm": 1.0, "wins": 0, "losses": 0, "ties": 12, "queries": 12, "second_stage": false, "verdict": "too few queries to judge"}], "evaluations": ["f83f3d42db68", "931e88bc7fe9"]}}',NULL,1.79602141568175101282e+09,1.79602141571081376078e+09,1.79602143502328181262e+09,1.79602143502328181262e+09,3381);
INSERT INTO "jobs" VALUES('66d2d3b9ef','blend','blend','{"model": "/home/ada/m2", "base": "all-MiniLM-L6-v2", "dataset": "one", "second": "two", "split": "train", "ratios": "0, 0.25, 0.5, 0.75, 1", "keep": null, "name": "", "max_queries": null, "candidates": 50, "exclude_query_document": "auto", "metric": "map@100", "device": "auto", "precision": "auto", "seed": 7}','succeeded','light','light',NULL,1,NULL,19945,32620.53,20017,32626.06,20019,32626.41,1.79602165595450854302e+09,'{"done": 44, "total": 44, "unit": "texts", "message": "5 of 5: ratio 1 on two", "rate": 264.2913285282295, "seconds_left": 0.0, "phase": "5 of 5: ratio 1 on two"}','{"tuned": "m2", "base": "all-MiniLM-L6-v2", "metric": "map@100", "ratios": [0.0, 0.25, 0.5, 0.75, 1.0], "rows": [{"ratio": 0.0, "dataset": "one", "dataset_version": 2, "split": "train", "queries": 13, "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}, {"ratio": 0.0, "dataset": "two", "dataset_version": 1, "split": "train", "queries": 12, "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}, {"ratio": 0.25, "dataset": "one", "dataset_version": 2, "split": "train", "queries": 13, "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}, {"ratio": 0.25, "dataset": "two", "dataset_version": 1, "split": "train", "queries": 12, "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}, {"ratio": 0.5, "dataset": "one", "dataset_version": 2, "split": "train", "queries": 13, "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}, {"ratio": 0.5, "dataset": "two", "dataset_version": 1, "split": "train", "queries": 12, "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}, {"ratio": 0.75, "dataset": "one", "dataset_version": 2, "split": "train", "queries": 13, "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}, {"ratio": 0.75, "dataset": "two", "dataset_version": 1, "split": "train", "queries": 12, "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}, {"ratio": 1.0, "dataset": "one", "dataset_version": 2, "split": "train", "queries": 13, "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}, {"ratio": 1.0, "dataset": "two", "dataset_version": 1, "split": "train", "queries": 12, "map@100": 1.0, "mrr@10": 1.0, "ndcg@10": 1.0, "recall@10": 1.0, "recall@100": 1.0, "hit_rate@5": 1.0, "hit_rate@10": 1.0}], "notes": ["''one'' was measured by training queries, which a model trained on them has seen: they favour it.", "''two'' was measured by training queries, which a model trained on them has seen: they favour it."], "exclude_query_document": "auto", "query_max_len": 256, "passage_max_len": 256, "kept": null, "model": null, "model_id": null}',NULL,1.79602161608657503134e+09,1.79602161619703698156e+09,1.79602165613745570187e+09,1.79602165613745570187e+09,4059);
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
	created_at FLOAT NOT NULL, bytes BIGINT, 
	CONSTRAINT pk_models PRIMARY KEY (id), 
	CONSTRAINT uq_models_name UNIQUE (name)
);
INSERT INTO "models" VALUES('453066b31258','all-MiniLM-L6-v2','embedding','models/453066b31258',NULL,'{"kind": "embedding", "pooling": "mean", "normalize": true, "causal": false, "query_prompt": "", "document_prompt": "", "title_separator": " ", "query_max_len": 256, "passage_max_len": 256, "dimensions": 384, "architecture": "", "yes_token": "", "no_token": "", "instruction": "", "prompt_template": "", "pictures_by": "", "quantization": "", "double_quantization": false, "weights": "", "compute_dtype": "", "dtype": "float32", "base_model": "", "dataset": "", "dataset_version": null}','{"origin": "packaged", "source": "sentence-transformers/all-MiniLM-L6-v2"}','',NULL,1.79602141567646241188e+09,91618169);
CREATE TABLE picks (
	id VARCHAR(40) NOT NULL, 
	dataset_id VARCHAR(40) NOT NULL, 
	version INTEGER NOT NULL, 
	"query" TEXT NOT NULL, 
	first TEXT NOT NULL, 
	second TEXT NOT NULL, 
	winner VARCHAR(10) NOT NULL, 
	detail JSON NOT NULL, 
	created_at FLOAT NOT NULL, 
	CONSTRAINT pk_picks PRIMARY KEY (id)
);
CREATE INDEX ix_evaluations_dataset_id ON evaluations (dataset_id);
CREATE INDEX ix_evaluations_job_id ON evaluations (job_id);
CREATE INDEX ix_jobs_changed_at ON jobs (changed_at);
CREATE INDEX ix_jobs_status ON jobs (status);
CREATE UNIQUE INDEX uq_jobs_running_slot ON jobs (slot) WHERE status = 'running';
CREATE INDEX ix_job_events_job_id ON job_events (job_id);
CREATE INDEX ix_metrics_job ON metrics (job_id, id);
CREATE INDEX ix_picks_dataset_id ON picks (dataset_id);
COMMIT;
