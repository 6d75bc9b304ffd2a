-- By what an act was done (session, token, command, page, hub), and why it ended as it did.
ALTER TABLE audit ADD COLUMN means TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN why TEXT NOT NULL DEFAULT '';
