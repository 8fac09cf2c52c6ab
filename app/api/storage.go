package api

// Written is what was handed to the device that the database lies on. That
// since the start is exact; the others are at least so much.
type Written struct {
	SinceStart Amount  `json:"since_start"`
	Today      *Amount `json:"today,omitempty"` // since midnight UTC; absent while the clock is not set
	Ever       Amount  `json:"ever"`
	// EverSince is when the counting of Ever began, or later (RFC 3339); absent
	// while that is not known.
	EverSince string `json:"ever_since,omitempty"`
}

// Amount is bytes, by what they were for, and syncs. What the file system's
// journal adds is not in.
type Amount struct {
	LogBytes        uint64 `json:"log_bytes"`        // entries and hard state
	CheckpointBytes uint64 `json:"checkpoint_bytes"` // of the state
	OtherBytes      uint64 `json:"other_bytes"`      // making and opening the database
	Syncs           uint64 `json:"syncs"`
}

// Bytes is all of them.
func (a Amount) Bytes() uint64 { return a.LogBytes + a.CheckpointBytes + a.OtherBytes }

// Card is what the kernel tells of the disk below the database. What it does
// not tell is absent.
type Card struct {
	FileSystemBytes uint64 `json:"file_system_bytes,omitempty"`
	FreeBytes       uint64 `json:"free_bytes"` // of the file system
	Device          string `json:"device,omitempty"`
	Bytes           uint64 `json:"bytes,omitempty"`
	Kind            string `json:"kind,omitempty"` // SD, MMC, or memory: a file system on no disk
	Model           string `json:"model,omitempty"`
	// LifeUsedPercent is how much of its life an eMMC says is used at most, in
	// steps of 10; 110 says that it has outlived it.
	LifeUsedPercent int    `json:"life_used_percent,omitempty"`
	SpareBlocks     string `json:"spare_blocks,omitempty"` // of an eMMC: normal, warning, urgent
}

// Forecast is how long the card lasts if all goes on as it did, and what is
// assumed of it.
type Forecast struct {
	Years       float64 `json:"years"`
	BytesPerDay uint64  `json:"bytes_per_day"`
	// Basis is what BytesPerDay comes from: ever or since_start.
	Basis              string `json:"basis"`
	CardBytes          uint64 `json:"card_bytes"` // of the card, or else of the file system
	EraseCycles        uint64 `json:"erase_cycles"`
	WriteAmplification uint64 `json:"write_amplification"`
}

// The bases of a forecast.
const (
	BasisEver       = "ever"
	BasisSinceStart = "since_start"
)
