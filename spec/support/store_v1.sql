-- A store as the program kept it before stores had versions of rows (user_version 3),
-- as SQL: identities, modules, twins, jobs that are over, run and wait. A blank line
-- ends a statement. Keys are of the letters a and b. What follows "by hand" no program
-- has written.

CREATE TABLE identities (
        device_id TEXT NOT NULL,
        module_id TEXT NOT NULL,
        auth TEXT NOT NULL,
        primary_key TEXT,
        secondary_key TEXT,
        primary_thumbprint TEXT,
        secondary_thumbprint TEXT,
        enabled INTEGER NOT NULL,
        status_reason TEXT,
        status_time TEXT,
        etag TEXT NOT NULL,
        generation_id TEXT NOT NULL, managed_by TEXT,
        PRIMARY KEY (device_id, module_id)
      ) WITHOUT ROWID;

INSERT INTO identities VALUES('fan','','sas','YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=','YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=',NULL,NULL,1,NULL,NULL,'MTE1MDYzOTk1','639316362920350000',NULL);

INSERT INTO identities VALUES('fan','inner','sas','YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=','YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=',NULL,NULL,1,NULL,NULL,'MTE1MDYzOTk2','639316362920450000',NULL);

INSERT INTO identities VALUES('fan','managed','sas','YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=','YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=',NULL,NULL,1,NULL,NULL,'MTE1MDY0MDA0','639316362920880000','"edge ''x''\u0000"');

INSERT INTO identities VALUES('lamp','','selfSigned',NULL,NULL,'ABABABABABABABABABABABABABABABABABABABAB','CDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCDCD',1,NULL,NULL,'MTE1MDYzOTk4','639316362920760000',NULL);

INSERT INTO identities VALUES('off','','sas','YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=','YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=',NULL,NULL,0,'"it''s \"off\"\u0000€\n; DROP TABLE identities --"',NULL,'MTE1MDY0MDAz','639316362920869998',NULL);

INSERT INTO identities VALUES('pump','','sas','YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=','YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=',NULL,NULL,1,NULL,NULL,'MTE1MDYzOTk3','639316362920710000',NULL);

INSERT INTO identities VALUES('row1','','sas','YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=','YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=',NULL,NULL,1,NULL,NULL,'MTE1MDY0MDAw','639316362920840003',NULL);

INSERT INTO identities VALUES('row2','','sas','YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=','YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=',NULL,NULL,1,NULL,NULL,'MTE1MDY0MDAx','639316362920860000',NULL);

INSERT INTO identities VALUES('row3','','sas','YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=','YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=',NULL,NULL,1,NULL,NULL,'MTE1MDY0MDAy','639316362920860001',NULL);

INSERT INTO identities VALUES('silent','','sas','YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=','YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=',NULL,NULL,1,NULL,NULL,'MTE1MDYzOTk5','639316362920840002',NULL);

CREATE TABLE twins (
        device_id TEXT NOT NULL,
        module_id TEXT NOT NULL,
        tags TEXT NOT NULL,
        desired TEXT NOT NULL,
        reported TEXT NOT NULL,
        desired_metadata TEXT NOT NULL,
        reported_metadata TEXT NOT NULL,
        desired_version INTEGER NOT NULL,
        reported_version INTEGER NOT NULL,
        version INTEGER NOT NULL,
        changes INTEGER NOT NULL,
        PRIMARY KEY (device_id, module_id)
      );

INSERT INTO twins VALUES('fan','','{"floor":3,"note":"\u0000😀''"}','{"big":9007199254740993,"speed":40}','{"temperature":21.5,"list":[1,null]}','{"$lastUpdatedVersion":2,"speed":{"$lastUpdated":"2026-11-30T11:51:32.0890000Z","$lastUpdatedVersion":2},"$lastUpdated":"2026-11-30T11:51:32.0890000Z","big":{"$lastUpdated":"2026-11-30T11:51:32.0890000Z","$lastUpdatedVersion":2}}','{"list":{"$lastUpdated":"2026-11-30T11:51:32.1750000Z"},"$lastUpdated":"2026-11-30T11:51:32.1750000Z","temperature":{"$lastUpdated":"2026-11-30T11:51:32.1750000Z"}}',2,2,4,3);

INSERT INTO twins VALUES('fan','inner','{"deep":{"a":{"b":1.5}}}','{}','{}','{"$lastUpdated":"0001-01-01T00:00:00Z"}','{"$lastUpdated":"0001-01-01T00:00:00Z"}',1,1,2,2);

INSERT INTO twins VALUES('row1','','{"row":true}','{}','{}','{"$lastUpdated":"0001-01-01T00:00:00Z"}','{"$lastUpdated":"0001-01-01T00:00:00Z"}',1,1,2,2);

INSERT INTO twins VALUES('row2','','{"row":true}','{}','{}','{"$lastUpdated":"0001-01-01T00:00:00Z"}','{"$lastUpdated":"0001-01-01T00:00:00Z"}',1,1,2,2);

INSERT INTO twins VALUES('row3','','{"row":true}','{}','{}','{"$lastUpdated":"0001-01-01T00:00:00Z"}','{"$lastUpdated":"0001-01-01T00:00:00Z"}',1,1,2,2);

INSERT INTO twins VALUES('silent','','{"silent":true}','{}','{}','{"$lastUpdated":"0001-01-01T00:00:00Z"}','{"$lastUpdated":"0001-01-01T00:00:00Z"}',1,1,2,2);

INSERT INTO twins VALUES('lamp','','{"updated":"it''s"}','{}','{}','{"$lastUpdated":"0001-01-01T00:00:00Z"}','{"$lastUpdated":"0001-01-01T00:00:00Z"}',1,1,2,2);

INSERT INTO twins VALUES('pump','','{"updated":"it''s"}','{}','{}','{"$lastUpdated":"0001-01-01T00:00:00Z"}','{"$lastUpdated":"0001-01-01T00:00:00Z"}',1,1,2,2);

CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE counts (total INTEGER NOT NULL, enabled INTEGER NOT NULL);

INSERT INTO counts VALUES(8,7);

CREATE TABLE jobs (id TEXT PRIMARY KEY, record TEXT NOT NULL);

INSERT INTO jobs VALUES('done','{"pending":0,"running":0,"total":1,"condition":"tags.floor = 3","max_seconds":3600,"id":"done","status":"completed","selected":true,"ended":1796039492327,"created":1796039492299,"type":"scheduleDeviceMethod","succeeded":1,"start":1796039492299,"method":"{\"methodName\":\"set\",\"payload\":{\"n\":1},\"responseTimeoutInSeconds\":300,\"connectTimeoutInSeconds\":0}","failed":0}');

INSERT INTO jobs VALUES('offline','{"running":0,"total":3,"condition":"tags.row = true","max_seconds":3600,"id":"offline","status":"running","selected":true,"pending":3,"created":1796039492303,"type":"scheduleDeviceMethod","succeeded":0,"start":1796039492303,"method":"{\"methodName\":\"set\",\"payload\":{\"n\":1},\"responseTimeoutInSeconds\":300,\"connectTimeoutInSeconds\":0}","failed":0}');

INSERT INTO jobs VALUES('update','{"ended":1796039497335,"running":0,"total":2,"created":1796039497334,"start":1796039497334,"type":"scheduleUpdateTwin","status":"completed","selected":true,"update":"{\"tags\":{\"updated\":\"it''s\"},\"etag\":\"*\"}","id":"update","pending":0,"succeeded":2,"max_seconds":3600,"condition":"deviceId IN [''pump'', ''lamp'']","failed":0}');

INSERT INTO jobs VALUES('later','{"running":0,"total":0,"pending":0,"condition":"*","max_seconds":3600,"status":"queued","selected":false,"id":"later","created":1796039497337,"type":"scheduleDeviceMethod","succeeded":0,"start":4070908800000,"method":"{\"methodName\":\"set\",\"payload\":{\"n\":1},\"responseTimeoutInSeconds\":300,\"connectTimeoutInSeconds\":0}","failed":0}');

INSERT INTO jobs VALUES('cancelled','{"pending":0,"running":0,"status":"cancelled","condition":"*","max_seconds":3600,"id":"cancelled","total":0,"selected":false,"ended":1796039497338,"created":1796039497338,"type":"scheduleDeviceMethod","succeeded":0,"start":4070908800000,"method":"{\"methodName\":\"set\",\"payload\":{\"n\":1},\"responseTimeoutInSeconds\":300,\"connectTimeoutInSeconds\":0}","failed":0}');

INSERT INTO jobs VALUES('running','{"running":1,"total":1,"method":"{\"methodName\":\"set\",\"payload\":{\"n\":1},\"responseTimeoutInSeconds\":300,\"connectTimeoutInSeconds\":0}","start":1796039497339,"created":1796039497339,"status":"running","selected":true,"type":"scheduleDeviceMethod","id":"running","pending":0,"succeeded":0,"max_seconds":3600,"condition":"tags.silent = true","failed":0}');

CREATE TABLE device_jobs (
        job_id TEXT NOT NULL,
        device_id TEXT NOT NULL,
        module_id TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (job_id, device_id, module_id)
      );

INSERT INTO device_jobs VALUES('done','fan','','{"answer":"{\"done\":{\"n\":1}}","job_id":"done","status":"completed","ended":1796039492327,"device_id":"fan","answer_status":200,"updated":1796039492327,"created":1796039492299,"started":1796039492301}');

INSERT INTO device_jobs VALUES('offline','row1','','{"device_id":"row1","created":1796039492303,"updated":1796039492319,"job_id":"offline","status":"pending"}');

INSERT INTO device_jobs VALUES('offline','row2','','{"device_id":"row2","created":1796039492303,"updated":1796039492319,"job_id":"offline","status":"pending"}');

INSERT INTO device_jobs VALUES('offline','row3','','{"device_id":"row3","created":1796039492303,"updated":1796039492319,"job_id":"offline","status":"pending"}');

INSERT INTO device_jobs VALUES('update','lamp','','{"ended":1796039497335,"device_id":"lamp","started":1796039497335,"created":1796039497334,"updated":1796039497335,"job_id":"update","status":"completed"}');

INSERT INTO device_jobs VALUES('update','pump','','{"ended":1796039497335,"device_id":"pump","started":1796039497335,"created":1796039497334,"updated":1796039497335,"job_id":"update","status":"completed"}');

INSERT INTO device_jobs VALUES('running','silent','','{"device_id":"silent","started":1796039497375,"created":1796039497339,"updated":1796039497375,"job_id":"running","status":"running"}');

CREATE TRIGGER count_new AFTER INSERT ON identities WHEN new.module_id = ''
      BEGIN
        UPDATE counts SET total = total + 1, enabled = enabled + new.enabled;
      END;

CREATE TRIGGER count_changed AFTER UPDATE ON identities WHEN new.module_id = ''
      BEGIN
        UPDATE counts SET enabled = enabled + new.enabled - old.enabled;
      END;

CREATE TRIGGER count_gone AFTER DELETE ON identities WHEN old.module_id = ''
      BEGIN
        UPDATE counts SET total = total - 1, enabled = enabled - old.enabled;
      END;

-- by hand
INSERT INTO settings VALUES('policies','{"kept":"as it is"}');

INSERT INTO jobs VALUES('wrong','{"id":"wrong","type":"scheduleDeviceMethod","status":"failed","condition":"tags.x = ''\u0000''","reason":"it''s \"wrong\"\u0000","method":"{}","created":1796039492299,"start":1796039492299,"ended":1796039492300,"max_seconds":60,"selected":false,"total":0,"pending":0,"running":0,"succeeded":0,"failed":0}');

INSERT INTO device_jobs VALUES('done','fan','inner','{"job_id":"done","device_id":"fan","module_id":"inner","status":"failed","created":1796039492299,"started":1796039492301,"ended":1796039492302,"updated":1796039492302,"error_code":"404103","error_text":"it''s \"off\"\u0000"}');

INSERT INTO jobs VALUES('damaged','{"id":"dam');

INSERT INTO device_jobs VALUES('damaged','fan','','');

PRAGMA application_id = 1684891765;

PRAGMA user_version = 3;
