package chat

import "strings"

// An Operation is the kind of a change, in the history and in events.
type Operation string

// The operations.
const (
	OperationCreated  Operation = "Created" // also as a copy
	OperationUpdated  Operation = "Updated" // also its tags or its resource group
	OperationDeleted  Operation = "Deleted"
	OperationRestored Operation = "Restored" // also after its deletion
	OperationRotated  Operation = "Rotated"  // its webhook or a secret
)

// operation returns the kind of the change. The verb in the action's name tells.
func (rev *revision) operation() Operation {
	for verb, operation := range map[string]Operation{"Create": OperationCreated, "Copy": OperationCreated,
		"Delete": OperationDeleted, "Restore": OperationRestored, "Rotate": OperationRotated} {
		if strings.HasPrefix(rev.Action, verb) {
			return operation
		}
	}
	return OperationUpdated
}
