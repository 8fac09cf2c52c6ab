// Package backup is the format of a backup file: the replicated state at one
// index, with where and when it was taken, checksummed from its first byte to
// its last.
//
// A file is
//
//	edgeraft backup 1\n          the format's number, in ASCII
//	{...}\n                      a Header as one line of JSON, at most MaxHeaderBytes
//	...                          Header.Size bytes: an App's snapshot
//	32 bytes                     SHA-256 of everything before them
//
// and nothing follows. So `head -n 2` tells people what they have. Fields may be
// added to the header; what a reader must know to restore rightly needs a new
// number.
package backup
