package serve

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// Limits bound the load of an HTTP server. Zero values mean those of DefaultLimits.
type Limits struct {
	Connections int // open at the same time
	Bodies      int // requests with a body, read or served at the same time
}

// The bounds of the defaults.
const (
	mostConnections  = 4096
	leastConnections = 4
	leastBodies      = 2
	connectionSize   = 64 << 10 // bytes: buffers, head, stacks
	smallMemory      = 1 << 30  // if the memory is unknown
)

// DefaultLimits returns the limits for requests that need up to bodySize bytes of memory each.
// Connections get half of the files that the process may open and a sixteenth of the memory. Bodies
// get a quarter of the memory.
func DefaultLimits(bodySize int64) Limits { return defaultLimits(bodySize, openFiles(), memory()) }

// defaultLimits is DefaultLimits for a number of files, 0 if unknown, and bytes of memory.
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

// memory returns the bytes of memory for the process: the least of GOMEMLIMIT, the limit of its
// control group and the machine's memory.
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

// readBytes reads a number of bytes from a file; 0 if none, or if it is "max".
func readBytes(path string) int64 {
	text, _ := os.ReadFile(path)
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// machineMemory returns the bytes of memory of a Linux machine; 0 on other systems.
func machineMemory() int64 {
	text, _ := os.ReadFile("/proc/meminfo")
	_, rest, _ := strings.Cut(string(text), "MemTotal:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kilobytes, _ := strconv.ParseInt(number, 10, 64)
	return kilobytes << 10
}
