package lambda

import "time"

// SetTimes makes the end patient, for a machine that is busy.
func SetTimes(drain, send time.Duration) { drainTime, sendTime = drain, send }

// Register is register.
var Register = register

// Registered is registered.
var Registered = registered
