package app

import (
	"net/http"
	"strconv"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/kv"
)

func (s *Server) txn(req *request) error {
	var body api.Txn
	if err := req.json(&body); err != nil {
		return err
	}
	txn, err := transactionOf(body)
	if err != nil {
		return err
	}
	command, err := kv.Txn(txn)
	if err != nil {
		return err
	}
	if limit := s.limits.MaxValueBytes + kv.MaxOverhead; len(command) > limit {
		return fail(http.StatusRequestEntityTooLarge, api.CodeTooLarge,
			"the transaction has %d bytes and may have %d", len(command), limit)
	}
	outcome, result, err := s.commit(req, command)
	if err != nil {
		return err
	}
	req.w.Header().Set(api.HeaderIndex, strconv.FormatUint(uint64(outcome.Index), 10))
	writeJSON(req.w, http.StatusOK, api.TxnResult{
		Index: uint64(outcome.Index), Term: uint64(outcome.Term), Succeeded: result.Held,
	})
	return nil
}

func transactionOf(body api.Txn) (kv.Transaction, error) {
	var txn kv.Transaction
	for _, c := range body.Compare {
		txn.Compare = append(txn.Compare, kv.Compare{Key: c.Key, Index: c.Index})
	}
	var err error
	if txn.Then, err = operationsOf("then", body.Then); err != nil {
		return kv.Transaction{}, err
	}
	if txn.Else, err = operationsOf("else", body.Else); err != nil {
		return kv.Transaction{}, err
	}
	return txn, nil
}

func operationsOf(list string, body []api.Operation) ([]kv.Operation, error) {
	var ops []kv.Operation
	for i, o := range body {
		op := kv.Operation{Key: o.Key}
		switch o.Op {
		case "put":
			value, err := o.Data()
			if err != nil {
				return nil, badRequest("%s[%d]: %v", list, i, err)
			}
			op.Kind, op.Value = kv.OpPut, value
			if o.TTL != "" {
				if op.TTL, err = ttlOf(o.TTL); err != nil {
					return nil, badRequest("%s[%d]: %v", list, i, err)
				}
			}
		case "delete":
			if o.Bytes != (api.Bytes{}) || o.TTL != "" {
				return nil, badRequest("%s[%d]: a delete takes no value and no ttl", list, i)
			}
			op.Kind = kv.OpDelete
		default:
			return nil, badRequest("%s[%d]: op is %q; give put or delete", list, i, o.Op)
		}
		ops = append(ops, op)
	}
	return ops, nil
}
