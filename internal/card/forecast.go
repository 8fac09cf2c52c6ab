package card

import "time"

// What is assumed of a card. Nobody says either of a card that is sold.
const (
	// EraseCycles is how often each cell can be written: what makers of cells
	// with three bits promise.
	EraseCycles = 1000
	// WriteAmplification is how many bytes the card writes for each that it is
	// given in small synced writes: of 4 to 16, which are thought usual, the
	// best.
	WriteAmplification = 4
	// MinSpan is how long must have been counted: less says nothing of a year.
	MinSpan = 24 * time.Hour
)

// Forecast is how long a card lasts if all goes on as it did.
type Forecast struct {
	BytesPerDay uint64
	Years       float64
}

const year = 365.25 * 24 * time.Hour

// Predict reckons how long a card of so many bytes lasts, where so many were
// written in a span. It reports false where one of them is not known, or the
// span too short.
func Predict(size, written uint64, span time.Duration) (Forecast, bool) {
	if size == 0 || written == 0 || span < MinSpan {
		return Forecast{}, false
	}
	perDay := float64(written) / (float64(span) / float64(24*time.Hour))
	bears := float64(size) * EraseCycles / WriteAmplification
	return Forecast{
		BytesPerDay: uint64(perDay),
		Years:       bears / (float64(written) / float64(span) * float64(year)),
	}, true
}
