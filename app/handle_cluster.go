package app

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/raft"
)

func (s *Server) nodeStatus(req *request) (api.Status, error) {
	ctx, cancel := context.WithTimeout(req.r.Context(), statusTimeout)
	defer cancel()
	status, err := s.node.Status(ctx)
	if ctx.Err() != nil {
		return api.Status{}, fail(http.StatusServiceUnavailable, api.CodeInternal,
			"the agent did not tell its status within %v; it is overloaded or stuck, see its log", statusTimeout)
	}
	return status, err
}

func (s *Server) status(req *request) error {
	status, err := s.nodeStatus(req)
	if err != nil {
		return err
	}
	writeJSON(req.w, http.StatusOK, status)
	return nil
}

func (s *Server) members(req *request) error {
	status, err := s.nodeStatus(req)
	if err != nil {
		return err
	}
	members := status.Members
	if members == nil {
		members = []api.Member{}
	}
	writeJSON(req.w, http.StatusOK, api.Members{Members: members})
	return nil
}

func (s *Server) addMember(req *request) error {
	var body api.MemberRequest
	if err := req.json(&body); err != nil {
		return err
	}
	if len(body.Name) > raft.MaxNameLen || !utf8.ValidString(body.Name) {
		return badRequest("the name may have %d bytes of UTF-8", raft.MaxNameLen)
	}
	return s.changeMember(req, body.ID, raft.Change{Kind: raft.AddLearner, Name: body.Name})
}

func (s *Server) promoteMember(req *request) error {
	return s.changeMember(req, req.name, raft.Change{Kind: raft.Promote})
}

func (s *Server) demoteMember(req *request) error {
	return s.changeMember(req, req.name, raft.Change{Kind: raft.Demote})
}

func (s *Server) removeMember(req *request) error {
	return s.changeMember(req, req.name, raft.Change{Kind: raft.Remove})
}

// transfer hands leadership to the member the path names.
func (s *Server) transfer(req *request) error {
	id, err := nodeID(req.name)
	if err != nil {
		return err
	}
	return s.handOver(req, id)
}

// stepDown hands leadership to whom the leader chooses.
func (s *Server) stepDown(req *request) error { return s.handOver(req, "") }

func (s *Server) handOver(req *request, to raft.NodeID) error {
	ctx, cancel := req.context()
	defer cancel()
	leader, err := s.node.Transfer(ctx, to)
	if err != nil {
		return err
	}
	writeJSON(req.w, http.StatusOK, api.MemberChanged{ID: string(leader)})
	return nil
}

func (s *Server) changeMember(req *request, id string, change raft.Change) error {
	var err error
	if change.ID, err = nodeID(id); err != nil {
		return err
	}
	ctx, cancel := req.context()
	defer cancel()
	err = s.node.ChangeMember(ctx, change)
	if errors.Is(err, raft.ErrBadChange) && req.key != "" && s.isSo(ctx, change) {
		req.w.Header().Set(api.HeaderRepeated, "true")
		err = nil
	}
	if err != nil {
		return err
	}
	writeJSON(req.w, http.StatusOK, api.MemberChanged{ID: id})
	return nil
}

// isSo reports whether the configuration is already as a change would make it.
func (s *Server) isSo(ctx context.Context, change raft.Change) bool {
	if s.node.Barrier(ctx) != nil {
		return false // what is known here may be old
	}
	status, err := s.node.Status(ctx)
	if err != nil {
		return false
	}
	i := slices.IndexFunc(status.Members, func(m api.Member) bool { return m.ID == string(change.ID) })
	switch change.Kind {
	case raft.AddLearner:
		return i >= 0 // perhaps promoted meanwhile, as is its way
	case raft.Remove:
		return i < 0
	case raft.Promote:
		return i >= 0 && status.Members[i].Role == raft.Voter.String()
	case raft.Demote:
		return i >= 0 && status.Members[i].Role != raft.Voter.String()
	}
	return false
}

// founding is the last call of init with a key on a device that belonged to no
// cluster. It is remembered while the process lives: what an earlier one did, a
// repetition is told to be a conflict.
type founding struct {
	key   string
	setup api.Setup // of its answer, if it got one
}

func (s *Server) found(req *request) error {
	s.foundingMu.Lock()
	defer s.foundingMu.Unlock()
	if req.key != "" {
		status, err := s.nodeStatus(req)
		switch {
		case err != nil:
			return err
		case status.Cluster.ID == "":
			s.founding = founding{key: req.key}
		case req.key == s.founding.key:
			return s.foundAgain(req, status.Cluster.ID)
		}
	}
	ctx, cancel := req.context()
	defer cancel()
	setup, err := s.founder.Init(ctx)
	if err != nil {
		return err
	}
	if req.key != "" {
		s.founding.setup = setup
	}
	writeJSON(req.w, http.StatusOK, setup)
	return nil
}

// foundAgain answers a repetition as the first call was, or would have been but
// for the key, which is then in its file only.
func (s *Server) foundAgain(req *request, cluster string) error {
	setup := s.founding.setup
	setup.ClusterID = cluster
	req.w.Header().Set(api.HeaderRepeated, "true")
	writeJSON(req.w, http.StatusOK, setup)
	return nil
}

func (s *Server) join(req *request) error {
	var body api.JoinRequest
	if err := req.json(&body); err != nil {
		return err
	}
	if body.LeaveCluster != "" {
		return s.startOver(req, body)
	}
	key := strings.TrimSpace(body.Key) // it often comes from a file
	if key == "" {
		return badRequest("the key is empty; give the text that edgeraft init or edgeraft keygen printed")
	}
	ctx, cancel := req.context()
	defer cancel()
	setup, err := s.founder.Join(ctx, key)
	if err != nil {
		return err
	}
	writeJSON(req.w, http.StatusOK, setup)
	return nil
}

// healthz answers whether the agent is alive: its loop answers, and its
// storage has not failed. It says nothing about the cluster.
func (s *Server) healthz(req *request) error {
	status, err := s.nodeStatus(req)
	if err != nil {
		return err
	}
	if status.Storage.Error != "" {
		return fail(http.StatusServiceUnavailable, api.CodeInternal, "the storage failed: %s; see edgeraft status", status.Storage.Error)
	}
	writeJSON(req.w, http.StatusOK, api.Health{Status: "ok"})
	return nil
}

// readyz answers whether the device can serve what needs the cluster.
func (s *Server) readyz(req *request) error {
	status, err := s.nodeStatus(req)
	if err != nil {
		return err
	}
	switch {
	case status.Cluster.ID == "":
		return fail(http.StatusServiceUnavailable, api.CodeNotFounded,
			"%v; found one with edgeraft init, or join one with edgeraft join", raft.ErrNotFounded)
	case status.Node.State != "member":
		return fail(http.StatusServiceUnavailable, api.CodeNoLeader, "this device's state is %s; see edgeraft status", status.Node.State)
	case status.Cluster.Leader == "":
		f := fail(http.StatusServiceUnavailable, api.CodeNoLeader, "%v; see edgeraft status", raft.ErrNoLeader)
		f.RetryAfterMS = retryNoLeaderMS
		return f
	}
	writeJSON(req.w, http.StatusOK, api.Health{Status: "ok"})
	return nil
}

// nodeID reads a member's ID as callers give it.
func nodeID(text string) (raft.NodeID, error) {
	id := raft.NodeID(text)
	if !id.Valid() {
		return "", badRequest("%q is not a device's ID, which has %d characters of a-z and 2-7; see edgeraft members list", text, raft.NodeIDLen)
	}
	return id, nil
}
