package rail

import "strings"

// sepaLetters maps letters outside the SEPA character set to the set, in the spirit of the EPC's conversion table (EPC217-08): the
// base letter, or the usual pair. What is not here becomes a full stop.
var sepaLetters = func() map[rune]string {
	m := map[rune]string{
		'ß': "ss", 'Æ': "AE", 'æ': "ae", 'Œ': "OE", 'œ': "oe", 'Þ': "TH", 'þ': "th", 'ĳ': "ij", 'Ĳ': "IJ",
		'&': "+", '@': "(at)", '_': "-", '–': "-", '—': "-", '‘': "'", '’': "'", '`': "'", '´': "'", '“': "'", '”': "'", '„': "'", '‚': "'", '«': "'", '»': "'", '"': "'",
		'[': "(", ']': ")", '{': "(", '}': ")", ';': ",", '!': ".", '\u00a0': " ",
	}
	for _, row := range []string{
		"AÀÁÂÃÄÅĀĂĄ", "aàáâãäåāăą", "CÇĆĈĊČ", "cçćĉċč", "DĎĐÐ", "dďđð", "EÈÉÊËĒĔĖĘĚ", "eèéêëēĕėęě", "GĜĞĠĢ", "gĝğġģ", "HĤĦ", "hĥħ",
		"IÌÍÎÏĨĪĬĮİ", "iìíîïĩīĭįı", "JĴ", "jĵ", "KĶ", "kķĸ", "LĹĻĽĿŁ", "lĺļľŀł", "NÑŃŅŇŊ", "nñńņňŋ", "OÒÓÔÕÖØŌŎŐ", "oòóôõöøōŏő",
		"RŔŖŘ", "rŕŗř", "SŚŜŞŠȘ", "sśŝşšș", "TŢŤŦȚ", "tţťŧț", "UÙÚÛÜŨŪŬŮŰŲ", "uùúûüũūŭůűų", "WŴ", "wŵ", "YÝŶŸ", "yýÿŷ", "ZŹŻŽ", "zźżž",
	} {
		r := []rune(row)
		for _, from := range r[1:] {
			m[from] = string(r[0])
		}
	}
	return m
}()

func sepaChar(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || (r < 0x80 && strings.IndexByte("/-?:().,'+ ", byte(r)) >= 0)
}

// sepaText maps s to the SEPA characters, and reports true when s had no others.
func sepaText(s string) (string, bool) {
	same := true
	for _, r := range s {
		if !sepaChar(r) {
			same = false
			break
		}
	}
	if same {
		return s, true
	}
	var b strings.Builder
	for _, r := range s {
		switch to, ok := sepaLetters[r]; {
		case sepaChar(r):
			b.WriteRune(r)
		case ok:
			b.WriteString(to)
		default:
			b.WriteByte('.')
		}
	}
	return b.String(), false
}
