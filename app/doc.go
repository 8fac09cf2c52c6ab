// Package app is the socket: HTTP/1.1 with JSON over a Unix stream socket,
// with which local programs propose commands, read and change the key/value
// state, and watch what is committed.
package app
