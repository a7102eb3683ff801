package valkey

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// ReadMap returns a map that the replicas share, and its version. A map that does not
// exist is empty and has the version "".
func (s *Store) ReadMap(ctx context.Context, name string) (entries map[string]string, version string, err error) {
	answer, err := s.call(ctx, s.scripts.readMap, []string{mapKey(name)})
	if err != nil {
		return nil, "", fmt.Errorf("reading a shared map: %w", err)
	}
	if len(answer)%2 != 0 {
		return nil, "", fmt.Errorf("reading a shared map: %w", errAnswer)
	}
	entries = make(map[string]string, len(answer)/2)
	for i := 0; i < len(answer); i += 2 {
		entries[answer[i]] = answer[i+1]
	}
	version = entries[versionEntry]
	delete(entries, versionEntry)
	return entries, version, nil
}

// ChangeMap sets and removes entries of a map that still has this version, and keeps it
// for the given time. It reports false if the map has another version. Names of entries
// must not be empty. After an error the change may have been made.
func (s *Store) ChangeMap(ctx context.Context, name, version string, set map[string]string, remove []string, keep time.Duration) (changed bool, err error) {
	args := []string{version, newName(), milliseconds(keep), strconv.Itoa(len(set))}
	for entry, value := range set {
		args = append(args, entry, value)
	}
	answer, err := s.call(ctx, s.scripts.changeMap, []string{mapKey(name)}, append(args, remove...)...)
	if err == nil && (len(answer) != 1 || answer[0] != "changed" && answer[0] != "stale") {
		err = errAnswer
	}
	if err != nil {
		return false, fmt.Errorf("changing a shared map: %w", err)
	}
	return answer[0] == "changed", nil
}
