package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/app"
	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

const (
	// askKeysEvery is how often members are asked for their keys while a
	// rotation waits for them, and askAllEvery, in such times, how often those
	// are that have answered: they may have changed their mind.
	askKeysEvery = 2 * time.Second
	askAllEvery  = 15
	// tellKeys is how often a change is told to all; a report may be lost.
	tellKeys = 2
)

// keyRing is the keys of a running device, which all its transports have.
type keyRing struct {
	paths   []sealedPath  // one or more
	changed chan struct{} // capacity 1
	mu      sync.Mutex
	now     seal.Ring
}

func newKeyRing(r seal.Ring, paths []sealedPath) *keyRing {
	return &keyRing{paths: paths, now: r, changed: make(chan struct{}, 1)}
}

// ids are those of the ring, the preferred one first.
func (k *keyRing) ids() []seal.KeyID { return k.paths[0].sealer.KeyIDs() }

// of returns the IDs of the keys that a device is known to have, in its own order.
func (k *keyRing) of(id raft.NodeID) (has []seal.KeyID) {
	for _, p := range k.paths {
		said, last, ok := p.sealer.Keys(id)
		if !ok {
			continue
		}
		if len(said) == 0 {
			said = []seal.KeyID{last}
		}
		for _, key := range said {
			if !slices.Contains(has, key) {
				has = append(has, key)
			}
		}
	}
	return has
}

// tell sends a device a report of the keys, by every transport.
func (k *keyRing) tell(id raft.NodeID, want bool) error {
	for _, p := range k.paths {
		packet, err := p.sealer.Report(id, want)
		if err != nil {
			return err
		}
		p.send(id, packet)
	}
	return nil
}

func (k *keyRing) ring() seal.Ring {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// set makes the ring the one in force.
func (k *keyRing) set(r seal.Ring) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.paths {
		if err := p.sealer.SetRing(r); err != nil {
			return err
		}
	}
	k.now = r
	select {
	case k.changed <- struct{}{}:
	default:
	}
	return nil
}

// ChangeKeys implements app.KeyKeeper. The file is written first: a device must
// not forget a key by a restart that it told others it has.
func (a *agent) ChangeKeys(ctx context.Context, change api.KeyChange) (api.KeyChanged, error) {
	a.setup.Lock()
	defer a.setup.Unlock()
	d := a.current()
	if d == nil {
		return api.KeyChanged{}, fmt.Errorf("%w: this device has no key yet; use edgeraft init or edgeraft join", app.ErrKeysInUse)
	}
	st, err := d.server.Status(ctx)
	if err != nil {
		return api.KeyChanged{}, err
	}
	next, err := changedRing(d.keys.ring(), change)
	if err != nil {
		return api.KeyChanged{}, err
	}
	if change.Action == api.KeyReplace && st.Leader != "" {
		return api.KeyChanged{}, fmt.Errorf("%w: with the key that this device has it finds a leader, so that is the right one; the key of a cluster is changed by edgeraft keygen --rotate, and edgeraft join --as-new KEY takes this device to another cluster",
			app.ErrKeysInUse)
	}
	if waiting := d.keyStatus(st).Waiting; change.Action == api.KeyDropOld && !change.Force && len(waiting) > 0 {
		return api.KeyChanged{}, fmt.Errorf("%w: not known to have the new key, and to prefer it: %s; give it to them (edgeraft join --add), or wait until they are heard",
			app.ErrKeysInUse, namesOf(waiting))
	}
	if err := seal.WriteRing(a.cfg.KeyFile, next); err != nil {
		return api.KeyChanged{}, err
	}
	if err := d.keys.set(next); err != nil {
		return api.KeyChanged{}, err
	}
	a.log.Info("the cluster keys were changed", "action", change.Action, "preferred", next.First().ID(), "keys", len(next.Keys()))
	done := api.KeyChanged{Keys: d.keyStatus(st)}
	if change.Action == api.KeyRotate {
		done.Key = next.First().Text()
	}
	return done, nil
}

// changedRing is the ring after a change.
func changedRing(r seal.Ring, change api.KeyChange) (next seal.Ring, err error) {
	switch change.Action {
	case api.KeyRotate:
		next, err = r.Rotate()
	case api.KeyDropOld:
		next, err = seal.NewRing(r.First())
	default:
		key, keyErr := seal.ParseKey(change.Key)
		if keyErr != nil {
			return seal.Ring{}, fmt.Errorf("%w: %w", app.ErrBadKey, keyErr)
		}
		if next, err = seal.NewRing(key); change.Action == api.KeyAdd {
			next, err = r.Add(key)
		}
	}
	if err != nil {
		return seal.Ring{}, fmt.Errorf("%w: %w", app.ErrKeysInUse, err)
	}
	return next, nil
}

func namesOf(members []api.MemberKeys) string {
	var names []string
	for _, m := range members {
		names = append(names, fmt.Sprintf("%s (%s)", m.Name, show.ShortID(m.ID)))
	}
	return strings.Join(names, ", ")
}

// exchangeKeys tells members of a change of the keys, and asks them for theirs
// while a rotation is under way. Otherwise it costs nothing.
func (d *device) exchangeKeys(ctx context.Context) error {
	ticker := time.NewTicker(askKeysEvery)
	defer ticker.Stop()
	tell := 0
	for n := 0; ; n++ {
		rotating := len(d.keys.ring().Keys()) > 1
		if !rotating && tell == 0 {
			ticker.Stop()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-d.keys.changed:
			tell = tellKeys
			ticker.Reset(askKeysEvery)
		case <-ticker.C:
		}
		st, err := d.server.Status(ctx)
		if err != nil {
			continue // it only fails when all ends
		}
		for _, m := range st.Config.Members {
			if m.ID != d.self && (tell > 0 || n%askAllEvery == 0 || !d.hasPreferred(m.ID)) {
				if err := d.keys.tell(m.ID, rotating); err != nil {
					d.log.Error("a report of the keys could not be sealed", "device", m.ID, "error", err)
				}
			}
		}
		tell = max(tell-1, 0)
	}
}

// hasPreferred reports whether a device is known to have the key that this one's
// rotation leads to, and to go there itself: of two that were begun at once, each
// could else drop the key that the other keeps.
func (d *device) hasPreferred(id raft.NodeID) bool {
	for _, p := range d.keys.paths {
		said, last, ok := p.sealer.Keys(id)
		if len(said) > 0 {
			last = said[0]
		}
		if ok && last == d.keys.ids()[0] {
			return true
		}
	}
	return false
}

// keyStatus is what is known of everybody's keys.
func (d *device) keyStatus(st server.Status) api.Keys {
	ids := d.keys.ids()
	k := api.Keys{Preferred: ids[0].String()}
	for _, id := range ids[1:] {
		k.Older = append(k.Older, id.String())
	}
	for _, m := range st.Config.Members {
		if m.ID == d.self {
			continue
		}
		has := d.keys.of(m.ID)
		entry := api.MemberKeys{ID: string(m.ID), Name: m.Name}
		ahead := false
		for _, id := range has {
			entry.Has = append(entry.Has, id.String())
			ahead = ahead || !slices.Contains(ids, id)
		}
		if len(ids) > 1 && !d.hasPreferred(m.ID) {
			k.Waiting = append(k.Waiting, entry)
		}
		// One that has yet to drop what this device dropped is not ahead.
		if ahead && (len(has) == 0 || has[0] != ids[0]) {
			k.Ahead = append(k.Ahead, entry)
		}
	}
	return k
}

// keyWarnings tells of a rotation that is under way, and of what it waits for.
func keyWarnings(k api.Keys) []api.Warning {
	var ws []api.Warning
	if len(k.Ahead) > 0 {
		ws = append(ws, api.Warning{
			Code: "key_missing", Message: fmt.Sprintf("Members have a cluster key that this device lacks: %s.", namesOf(k.Ahead)),
			Next: "edgeraft join --add KEY   (the line that edgeraft keygen --rotate printed)",
		})
	}
	switch {
	case len(k.Older) > 0 && len(k.Waiting) > 0:
		ws = append(ws, api.Warning{
			Code: "key_rotation", Message: fmt.Sprintf("A change of the cluster key waits for members not known to have the new one: %s.", namesOf(k.Waiting)),
			Next: "edgeraft join --add KEY   (on each of them)",
		})
	case len(k.Older) > 0:
		ws = append(ws, api.Warning{
			Code: "key_rotation", Message: "All members have the new cluster key; the old one is still accepted here.",
			Next: "edgeraft keygen --drop-old   (on each device)",
		})
	}
	return ws
}
