"""One child process: starting it, checking its health, and ending its whole process group."""
