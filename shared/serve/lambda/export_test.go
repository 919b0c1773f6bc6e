package lambda

import "time"

// SetTimes makes the end patient, for a machine that is busy.
func SetTimes(drain, send time.Duration) { drainTime, sendTime = drain, send }
