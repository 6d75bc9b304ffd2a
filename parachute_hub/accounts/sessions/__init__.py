"""Browser sessions, cookies and CSRF protection."""
