package payments

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// TextChange is one place where a conversion changed a text.
type TextChange struct {
	At   int    // index of the character in the text given, in characters, from 0
	From string // what stood there: a character, with its combining marks
	To   string // what stands there now; "." where nothing is known that is like it
}

// SEPAText puts s into the SEPA character set (a-z A-Z 0-9 / - ? : ( ) . , ' + and space) and tells every change; none means that s is
// returned as it was. The same text always gives the same: the base letter, the usual pair or the transliteration of the EPC's
// conversion table (EPC217-08) for Latin, Greek and Bulgarian letters, and a full stop for everything else. Show the changes before
// anybody signs: the payee sees the converted text.
func SEPAText(s string) (string, []TextChange) {
	if isSEPA(s) {
		return s, nil
	}
	var b strings.Builder
	var changes []TextChange
	for at := 0; s != ""; {
		// A letter and its combining marks are one: they are looked up composed, so that both spellings give the same.
		n := norm.NFC.NextBoundaryInString(s, true)
		piece := s[:max(n, 1)]
		s = s[len(piece):]
		to := sepaPiece(norm.NFC.String(piece))
		if to != piece {
			changes = append(changes, TextChange{At: at, From: piece, To: to})
		}
		b.WriteString(to)
		at += utf8.RuneCountInString(piece)
	}
	return b.String(), changes
}

func isSEPA(s string) bool {
	for i := range len(s) {
		if !sepaChar(s[i]) {
			return false
		}
	}
	return true
}

func sepaChar(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/-?:().,'+ ", c) >= 0
}

// sepaPiece converts one character with its combining marks: as a whole if the table has it, else its base letter.
func sepaPiece(piece string) string {
	if r, size := utf8.DecodeRuneInString(piece); size == len(piece) {
		if to, ok := sepaLetters[r]; ok {
			return to
		}
	}
	base, _ := utf8.DecodeRuneInString(norm.NFD.String(piece))
	if base < utf8.RuneSelf && sepaChar(byte(base)) {
		return string(base)
	}
	if to, ok := sepaLetters[base]; ok {
		return to
	}
	return "."
}

var sepaLetters = func() map[rune]string {
	m := map[rune]string{
		'ß': "ss", 'ẞ': "SS", 'Æ': "AE", 'æ': "ae", 'Œ': "OE", 'œ': "oe", 'Þ': "TH", 'þ': "th", 'ĳ': "ij", 'Ĳ': "IJ",
		'&': "+", '@': "(at)", '_': "-", '–': "-", '—': "-", '‘': "'", '’': "'", '`': "'", '´': "'", '“': "'", '”': "'", '„': "'", '‚': "'", '«': "'", '»': "'", '"': "'",
		'[': "(", ']': ")", '{': "(", '}': ")", ';': ",", '!': ".", '\u00a0': " ",
	}
	for _, row := range []string{
		"AÀÁÂÃÄÅĀĂĄ", "aàáâãäåāăą", "CÇĆĈĊČ", "cçćĉċč", "DĎĐÐ", "dďđð", "EÈÉÊËĒĔĖĘĚ", "eèéêëēĕėęě", "GĜĞĠĢ", "gĝğġģ", "HĤĦ", "hĥħ",
		"IÌÍÎÏĨĪĬĮİ", "iìíîïĩīĭįı", "JĴ", "jĵ", "KĶ", "kķĸ", "LĹĻĽĿŁ", "lĺļľŀł", "NÑŃŅŇŊ", "nñńņňŋ", "OÒÓÔÕÖØŌŎŐ", "oòóôõöøōŏő",
		"RŔŖŘ", "rŕŗř", "SŚŜŞŠȘ", "sśŝşšș", "TŢŤŦȚ", "tţťŧț", "UÙÚÛÜŨŪŬŮŰŲ", "uùúûüũūŭůűų", "WŴ", "wŵ", "YÝŶŸ", "yýÿŷ", "ZŹŻŽ", "zźżž",
		// Greek, one letter for one letter (ELOT 743)
		"AΑΆ", "aαά", "VΒ", "vβ", "GΓ", "gγ", "DΔ", "dδ", "EΕΈ", "eεέ", "ZΖ", "zζ", "IΗΉΙΊΪ", "iηήιίϊΐ", "KΚ", "kκ", "LΛ", "lλ", "MΜ", "mμ", "NΝ", "nν",
		"XΞ", "xξ", "OΟΌΩΏ", "oοόωώ", "PΠ", "pπ", "RΡ", "rρ", "SΣ", "sσς", "TΤ", "tτ", "YΥΎΫ", "yυύϋΰ", "FΦ", "fφ",
		// Bulgarian
		"AАЪ", "aаъ", "BБ", "bб", "VВ", "vв", "GГ", "gг", "DД", "dд", "EЕ", "eе", "ZЗ", "zз", "IИ", "iи", "YЙЬ", "yйь", "KК", "kк", "LЛ", "lл", "MМ", "mм", "NН", "nн",
		"OО", "oо", "PП", "pп", "RР", "rр", "SС", "sс", "TТ", "tт", "UУ", "uу", "FФ", "fф", "HХ", "hх",
	} {
		r := []rune(row)
		for _, from := range r[1:] {
			m[from] = string(r[0])
		}
	}
	for from, to := range map[rune]string{'Θ': "TH", 'Χ': "CH", 'Ψ': "PS", 'Ж': "ZH", 'Ц': "TS", 'Ч': "CH", 'Ш': "SH", 'Щ': "SHT", 'Ю': "YU", 'Я': "YA"} {
		m[from] = to
	}
	for from, to := range map[rune]string{'θ': "th", 'χ': "ch", 'ψ': "ps", 'ж': "zh", 'ц': "ts", 'ч': "ch", 'ш': "sh", 'щ': "sht", 'ю': "yu", 'я': "ya"} {
		m[from] = to
	}
	return m
}()
