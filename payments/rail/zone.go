package rail

import "time"

// Zone is how a rail tells local time. The zero Zone is UTC.
type Zone uint8

const (
	UTC      Zone = iota
	Eastern       // US Eastern: UTC-5, and UTC-4 from the second Sunday of March to the first of November, at 2 o'clock (since 2007)
	Brasilia      // UTC-3, without daylight saving since 2019
)

// In returns t in the zone. It needs no time zone files.
func (z Zone) In(t time.Time) time.Time {
	switch z {
	case Eastern:
		if t = t.In(est); summer(t) {
			return t.In(edt)
		}
		return t
	case Brasilia:
		return t.In(brt)
	}
	return t.UTC()
}

// Local returns the instant of a wall clock in the zone. An hour that comes twice is taken for its first, daylight time; one that is
// left out for the hour after it.
func (z Zone) Local(year int, month time.Month, day, hour, minute, second int) time.Time {
	switch z {
	case Eastern:
		if t := time.Date(year, month, day, hour, minute, second, 0, edt); summer(t.In(est)) {
			return t
		}
		return time.Date(year, month, day, hour, minute, second, 0, est)
	case Brasilia:
		return time.Date(year, month, day, hour, minute, second, 0, brt)
	}
	return time.Date(year, month, day, hour, minute, second, 0, time.UTC)
}

var (
	est = time.FixedZone("EST", -5*3600)
	edt = time.FixedZone("EDT", -4*3600)
	brt = time.FixedZone("BRT", -3*3600)
)

// summer reports whether daylight saving is on at t, which is in standard time.
func summer(t time.Time) bool {
	begin := firstSunday(t.Year(), time.March) + 7
	end := firstSunday(t.Year(), time.November)
	return !t.Before(time.Date(t.Year(), time.March, begin, 2, 0, 0, 0, est)) && t.Before(time.Date(t.Year(), time.November, end, 1, 0, 0, 0, est))
}

func firstSunday(year int, month time.Month) int {
	return 1 + (7-int(time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Weekday()))%7
}
