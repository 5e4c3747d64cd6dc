package xmltext

import (
	"testing"

	"github.com/parleypay/parley/payments/iso20022"
)

func TestInner(t *testing.T) {
	for _, c := range []struct{ doc, want string }{
		{`<a/>`, ""}, {`<a></a>`, ""}, {`<a>x</a>`, "x"}, {`<a b=">" c='"'>x &amp; y</a>`, "x &amp; y"}, {`<a><b>1</b><b/></a>`, "<b>1</b><b/>"},
	} {
		tree, err := iso20022.Parse([]byte(c.doc))
		if err != nil {
			t.Fatal(err)
		}
		if got := string(Inner(tree.Root())); got != c.want {
			t.Errorf("%s: %q", c.doc, got)
		}
	}
	if got := Escape(`<a b="&">`); got != "&lt;a b=&quot;&amp;&quot;&gt;" {
		t.Error(got)
	}
}
