package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/examples/bankteller/teller"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
	"github.com/edgeraft/edgeraft/udpcomms"
)

// branch is one device of the bank: an agent made of ready parts, with an App
// of our own.
type branch struct {
	name   string
	id     raft.NodeID
	bank   *teller.Bank
	db     *boltlog.Log
	comms  *udpcomms.Comms
	server *server.Server
	stop   context.CancelFunc
	ended  chan error
}

func openBranch(ctx context.Context, dir, name string, key seal.Key) (*branch, error) {
	db, opened, err := boltlog.Open(filepath.Join(dir, name), boltlog.Options{ClusterName: "bank"})
	if err != nil {
		return nil, err
	}
	b := &branch{name: name, id: opened.Identity.ID, bank: teller.New(), db: db, ended: make(chan error, 1)}
	sealer, err := seal.New(key, "bank", b.id, opened.Identity.Boot)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if b.comms, err = udpcomms.Listen(udpcomms.Config{Listen: "127.0.0.1:0", Self: b.id, Seal: sealer}); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	b.server, err = server.New(server.Config{
		Core: raft.Config{
			ID: b.id, ElectionTicks: 30, HeartbeatTicks: 10, Random: rand.IntN,
			Boot: opened.Identity.Boot, ProposalBase: rand.Uint64(),
		},
		Tick: 10 * time.Millisecond, Name: name, MaxVoters: 3,
	}, server.Parts{Comms: b.comms, Log: db, App: once.New(b.bank)}, opened.Stored)
	if err != nil {
		return nil, errors.Join(err, b.comms.Close(), db.Close())
	}
	ctx, b.stop = context.WithCancel(ctx)
	go func() { b.ended <- b.server.Run(ctx) }()
	return b, nil
}

// close ends the device: first what uses the parts, then the parts.
func (b *branch) close() error {
	b.stop()
	return errors.Join(<-b.ended, b.comms.Close(), b.db.Close())
}
