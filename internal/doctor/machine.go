package doctor

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clockFacts is what is known of the wall clock.
type clockFacts struct {
	now, built time.Time
	rtc        bool // there is one
	synced     bool // something keeps it in step
	known      bool // whether that could be found out
	tls        bool // a certificate depends on it
}

// platform is the machine and its kernel.
type platform struct {
	bits, page int
	kernel     string
	logBytes   int
	database   uint64 // bytes it has
	maxFile    uint64
}

// memory is what the agent may use, in bytes; 0: not known, or no limit.
type memory struct {
	total     uint64
	available uint64
	group     uint64 // limit of the agent's control group
	goal      uint64 // GOMEMLIMIT
	need      uint64 // estimated
}

func (h host) machine(s Subject, now time.Time) []Finding {
	c := clockFacts{now: now, built: s.Built, rtc: len(h.list("sys/class/rtc")) > 0}
	for _, url := range s.Brokers.Brokers {
		c.tls = c.tls || s.MQTT && strings.HasPrefix(url, "mqtts:")
	}
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err == nil {
		c.known, c.synced = true, state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
	}
	p := platform{bits: strconv.IntSize, page: os.Getpagesize(), logBytes: s.LogBytes, maxFile: s.MaxFile,
		database: uint64(max(lookAt(s.DataDir+"/"+databaseName).size, 0))}
	p.kernel, _ = h.read("proc/sys/kernel/osrelease")
	out := []Finding{judgeClock(c)}
	out = append(out, judgePlatform(p)...)
	out = append(out, judgeMemory(h.memory(s)))
	if text, err := h.read(throttled); err == nil {
		out = append(out, judgePower(text))
	}
	return out
}

func judgeClock(c clockFacts) Finding {
	const check = "clock"
	say := func(l Level, format string, args ...any) Finding {
		return found(groupMachine, check, l, format, args...)
	}
	const set = "sudo timedatectl set-ntp true"
	depends := "the cluster does not depend on it, what people read does"
	if c.tls {
		depends = "the certificates of the broker depend on it"
	}
	switch {
	case c.now.Before(c.built):
		level := Warning
		if c.tls {
			level = Error
		}
		return say(level, "it says %s, before this program was made; %s", c.now.UTC().Format(time.DateOnly), depends).
			do("without the internet set it by hand (sudo date -s), or add an RTC").typing(set)
	case c.known && !c.synced && !c.rtc:
		level := Note
		if c.tls {
			level = Warning
		}
		return say(level, "nothing keeps it in step (no NTP), and there is no RTC: after a power cut it goes on from where it stopped; %s", depends).typing(set)
	case c.known && !c.synced:
		return say(Note, "nothing keeps it in step (no NTP); %s", depends).typing(set)
	case !c.known:
		return say(OK, "it says %s; whether NTP keeps it in step is not known", c.now.UTC().Format(time.DateTime))
	case !c.rtc:
		return say(OK, "NTP keeps it in step; there is no RTC, so after a power cut it is wrong until NTP is there")
	}
	return say(OK, "NTP keeps it in step")
}

// oldKernel is what edgeraft is not tried with any more.
const oldKernel = 4<<8 + 19

func judgePlatform(p platform) []Finding {
	const check = "platform"
	text := fmt.Sprintf("%d bits, pages of %d bytes, Linux %s", p.bits, p.page, p.kernel)
	var out []Finding
	if p.maxFile > 0 && p.database > p.maxFile/10*8 {
		out = append(out, found(groupMachine, "database", Warning, "it has %d of the %d MiB that it may have", p.database>>20, p.maxFile>>20).
			do("delete keys that are not needed").typing("edgeraft list"))
	}
	if p.bits == 32 && uint64(p.logBytes) > p.maxFile/2 {
		out = append(out, found(groupMachine, "limits", Warning, "limits.log_bytes is %d MiB, but this is a machine of 32 bits, where log and database share %d MiB of one mapping", p.logBytes>>20, p.maxFile>>20).
			do("lower limits.log_bytes to %d or less", p.maxFile/2))
	}
	var major, minor int
	if n, _ := fmt.Sscanf(p.kernel, "%d.%d", &major, &minor); n == 2 && major<<8+minor < oldKernel {
		return append(out, found(groupMachine, check, Note, "%s, which is older than what edgeraft is tried with (%d.%d)", text, oldKernel>>8, oldKernel&0xff))
	}
	return append(out, found(groupMachine, check, OK, "%s", text))
}

// agentBase is what an agent uses beside log, history and state, with some room for
// what is being sent and received.
const agentBase = 32 << 20

func (h host) memory(s Subject) memory {
	m := memory{need: agentBase + uint64(s.LogBytes) + uint64(s.HistoryBytes)}
	text, _ := h.read("proc/meminfo")
	m.total, m.available = kilobytes(text, "MemTotal:"), kilobytes(text, "MemAvailable:")
	if s.Status == nil {
		return m
	}
	m.need += 2 * s.Status.State.Bytes // while a snapshot is made
	pid := strconv.Itoa(s.Status.Node.PID)
	groups, _ := h.read("proc/" + pid + "/cgroup")
	for line := range strings.Lines(groups) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		name := ""
		switch {
		case f[0] == "0":
			name = "sys/fs/cgroup" + f[2] + "/memory.max"
		case f[1] == "memory":
			name = "sys/fs/cgroup/memory" + f[2] + "/memory.limit_in_bytes"
		default:
			continue
		}
		text, _ := h.read(name)
		if n, err := strconv.ParseUint(text, 10, 64); err == nil && n < 1<<60 { // the old kind has a huge number for none
			m.group = n
		}
	}
	environ, _ := h.read("proc/" + pid + "/environ") // root's and the agent's own to read
	for v := range strings.SplitSeq(environ, "\x00") {
		if text, ok := strings.CutPrefix(v, "GOMEMLIMIT="); ok {
			m.goal = bytesOf(text)
		}
	}
	return m
}

// kilobytes finds a line of /proc/meminfo.
func kilobytes(text, name string) uint64 {
	_, after, _ := strings.Cut("\n"+text, "\n"+name)
	f := strings.Fields(after)
	if len(f) == 0 {
		return 0
	}
	n, _ := strconv.ParseUint(f[0], 10, 64) // 0: not known
	return n << 10
}

// bytesOf reads a number as GOMEMLIMIT has it (package runtime); 0 for none.
func bytesOf(text string) uint64 {
	for suffix, shift := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			n, _ := strconv.ParseUint(number, 10, 32)
			return n << shift
		}
	}
	n, _ := strconv.ParseUint(strings.TrimSuffix(text, "B"), 10, 64)
	return n
}

func judgeMemory(m memory) Finding {
	const check = "memory"
	say := func(l Level, format string, args ...any) Finding {
		return found(groupMachine, check, l, format, args...)
	}
	const lower = "lower limits.log_bytes"
	need := fmt.Sprintf("with these limits the agent may need about %d MiB", m.need>>20)
	switch {
	case m.group > 0 && m.need > m.group:
		return say(Warning, "%s, and its control group allows %d: then the kernel kills it", need, m.group>>20).
			do("raise MemoryMax=, and GOMEMLIMIT= with it, or %s", lower).typing("sudo systemctl edit edgeraft")
	case m.group > 0 && m.goal >= m.group:
		return say(Warning, "GOMEMLIMIT is %d MiB, no less than the %d that its control group allows, so the agent does not notice in time", m.goal>>20, m.group>>20).
			do("set it to three quarters of MemoryMax=").typing("sudo systemctl edit edgeraft")
	case m.total > 0 && m.need > m.total/4*3:
		return say(Warning, "%s, of %d that the device has", need, m.total>>20).do("%s", lower)
	case m.available > 0 && m.need > m.available:
		return say(Note, "%s at most, and %d are free now", need, m.available>>20).typing("free -m")
	case m.group > 0:
		return say(OK, "%s; its control group allows %d, the device has %d", need, m.group>>20, m.total>>20)
	}
	return say(OK, "%s; the device has %d", need, m.total>>20)
}

// throttled is where a Raspberry Pi tells of its power and heat (the firmware's
// get_throttled; raspberrypi.com, "vcgencmd").
const throttled = "sys/devices/platform/soc/soc:firmware/get_throttled"

// The bits of it, now and, 16 higher, since the start.
const (
	underVoltage = 1 << 0
	slowedDown   = 1<<1 | 1<<2
	hot          = 1 << 3
	sinceStart   = 16
)

func judgePower(text string) Finding {
	const check = "power"
	say := func(l Level, format string, args ...any) Finding {
		return found(groupMachine, check, l, format, args...)
	}
	const supply = "use the Raspberry Pi's own power supply and a short cable: low voltage damages what is being written to the card"
	bits, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 32)
	switch {
	case err != nil:
		return say(Note, "what the firmware says of it is not understood: %.20q", text)
	case bits&underVoltage != 0:
		return say(Error, "the voltage is too low now").do(supply)
	case bits&(underVoltage<<sinceStart) != 0:
		return say(Warning, "the voltage was too low since the start").do(supply)
	case bits&(slowedDown|hot) != 0:
		return say(Warning, "the processor is slowed down now, as it is too hot").do("give it air, or a heat sink").typing("vcgencmd measure_temp")
	case bits&((slowedDown|hot)<<sinceStart) != 0:
		return say(Note, "the processor was slowed down since the start, as it was too hot")
	}
	return say(OK, "voltage and temperature were right since the start")
}
