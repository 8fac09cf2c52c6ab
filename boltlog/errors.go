package boltlog

import "errors"

// Errors when opening. Returned errors wrap one of them with the file and what
// was found; the text says what to do.
var (
	// ErrInUse: another process has the directory.
	ErrInUse = errors.New("another agent is using this directory (stop it, or give this one another data_dir)")
	// ErrDamaged: the file is not what was written. It must not be repaired in
	// place: what it lost may be a vote or an acknowledged entry.
	ErrDamaged = errors.New("the database is damaged (the agent puts it aside and takes its own place again; " +
		"where it does not, move the directory away, and remove the old member from the cluster)")
	// ErrLostDatabase: the directory has an identity and no database.
	ErrLostDatabase = errors.New("the database of this device is gone, and its votes with it " +
		"(to start again as a new device delete the file \"identity\"; then remove the old member from the cluster)")
	// ErrVersion: a newer edgeraft wrote the file.
	ErrVersion = errors.New("the database has a format this version does not know (install the newer edgeraft again)")
	// ErrOtherCluster: the directory was made for a cluster of another name.
	ErrOtherCluster = errors.New("the database belongs to another cluster " +
		"(correct the setting \"cluster\", or give another data_dir)")
	// ErrOtherDevice: identity file and database are of different devices.
	ErrOtherDevice = errors.New("database and identity file are of different devices " +
		"(one was copied here; put the directory's own files back)")
	// ErrOptions: Options make no sense.
	ErrOptions = errors.New("bad options")
)

// ErrReadOnly: the file system takes no writes.
var ErrReadOnly = errors.New("the file system is read-only (the kernel makes it so after an error of the disk: see dmesg, " +
	"check it with fsck, mount it again for writing, and replace the card if that happens again; or the service may not write " +
	"there: systemctl edit edgeraft, [Service], ReadWritePaths=DIRECTORY)")

// Errors when saving.
var (
	// ErrFailed: this or an earlier Save failed. What is on stable storage is
	// unknown now, and a failed sync must never be repeated (Rebello, ATC'20):
	// stop, and start again from what Open reads.
	ErrFailed = errors.New("stable storage failed (check the disk, then restart the agent)")
	// ErrGap: the entries do not follow on what is stored.
	ErrGap = errors.New("the entries do not follow on the stored ones")
	// ErrClosed: Save after Close.
	ErrClosed = errors.New("the log is closed")
)
