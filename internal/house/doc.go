// Package house holds the rules of the house as a test: which package may
// import what, that package raft stays a pure function, that everything has
// its documentation, and that files and functions stay short. It has no code
// of its own. ARCHITECTURE.md says why the rules are what they are.
package house
