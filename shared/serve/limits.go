package serve

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// Limits bound what an HTTP server holds at once. Zero values mean the defaults of DefaultLimits.
type Limits struct {
	Connections int // that are open
	Bodies      int // requests with a body that are read or served
}

// The bounds of the defaults.
const (
	mostConnections  = 4096
	leastConnections = 4
	leastBodies      = 2
	connectionSize   = 64 << 10 // bytes: buffers, head, stacks
	smallMemory      = 1 << 30  // what a machine has that does not say
)

// DefaultLimits returns the limits for requests that take up to bodySize bytes of memory each.
// Connections may have half of the files that the process may open, since tables, targets and
// functions need some too, and a sixteenth of the memory; bodies a quarter of it.
func DefaultLimits(bodySize int64) Limits { return defaultLimits(bodySize, openFiles(), memory()) }

// defaultLimits is DefaultLimits for a number of files, 0 if it is not known, and bytes of memory.
func defaultLimits(bodySize int64, files uint64, memory int64) Limits {
	connections := min(mostConnections, memory/16/connectionSize)
	if files > 0 {
		connections = min(connections, int64(min(files, math.MaxInt32))/2)
	}
	connections = max(connections, leastConnections)
	return Limits{
		Connections: int(connections),
		Bodies:      int(max(leastBodies, min(connections, memory/4/max(bodySize, 1)))),
	}
}

// memory returns how many bytes the process may use: GOMEMLIMIT, the limit of its control group, or
// what the machine has.
func memory() int64 {
	least := int64(math.MaxInt64)
	for _, n := range []int64{
		debug.SetMemoryLimit(-1),
		readBytes("/sys/fs/cgroup/memory.max"),
		readBytes("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
		machineMemory(),
	} {
		if n > 0 {
			least = min(least, n)
		}
	}
	if least == math.MaxInt64 {
		return smallMemory
	}
	return least
}

// readBytes reads a file with a number of bytes; 0 if there is none, or if it says "max".
func readBytes(path string) int64 {
	text, _ := os.ReadFile(path)
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// machineMemory returns how many bytes of memory a Linux machine has; 0 elsewhere.
func machineMemory() int64 {
	text, _ := os.ReadFile("/proc/meminfo")
	_, rest, _ := strings.Cut(string(text), "MemTotal:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kilobytes, _ := strconv.ParseInt(number, 10, 64)
	return kilobytes << 10
}
