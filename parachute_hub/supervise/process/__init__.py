"""One child process: starting it, checking its health, and ending all of its group."""
