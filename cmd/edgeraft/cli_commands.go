package main

// commands is every command, in the order of help.
var commands = []command{
	demoCommand,
	runCommand,
	initCommand,
	joinCommand,
	statusCommand,
	membersListCommand,
	membersAddCommand,
	membersPromoteCommand,
	membersDemoteCommand,
	membersRemoveCommand,
	membersTransferCommand,
	proposeCommand,
	getCommand,
	putCommand,
	deleteCommand,
	listCommand,
	watchCommand,
	eventsCommand,
	backupCommand,
	restoreCommand,
	logVerifyCommand,
	logDumpCommand,
	keygenCommand,
	versionCommand,
}
