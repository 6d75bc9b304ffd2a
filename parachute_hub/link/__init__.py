"""What a hub and a module host on another machine share: the pairing code, certificates, and lists of files."""
