package wire

import (
	"github.com/fxamacker/cbor/v2"

	"github.com/edgeraft/edgeraft/raft"
)

func fromJoin(b raft.Join) join {
	return join{
		Name: b.Name, Member: b.Member, Replaces: b.Replaces, Expect: b.Expect,
		Boot: b.Run.Boot, Session: b.Run.Session, Version: b.Version,
	}
}

func toJoin(raw cbor.RawMessage) (raft.Body, error) {
	w, err := decodeLenient[join](raw)
	return raft.Join{
		Name: w.Name, Member: w.Member, Replaces: w.Replaces, Expect: w.Expect,
		Run: raft.Run{Boot: w.Boot, Session: w.Session}, Version: w.Version,
	}, err
}

func fromJoinAnswer(b raft.JoinAnswer) joinAnswer {
	return joinAnswer{
		Leader: b.Leader, Reason: b.Reason, Boot: b.Run.Boot, Session: b.Run.Session, Version: b.Version,
		KnownBoot: b.Known.Boot, KnownSession: b.Known.Session,
	}
}

func toJoinAnswer(raw cbor.RawMessage) (raft.Body, error) {
	w, err := decodeLenient[joinAnswer](raw)
	return raft.JoinAnswer{
		Leader: w.Leader, Reason: w.Reason, Run: raft.Run{Boot: w.Boot, Session: w.Session}, Version: w.Version,
		Known: raft.Run{Boot: w.KnownBoot, Session: w.KnownSession},
	}, err
}
