package content_test

import (
	"fmt"
	"time"

	"github.com/parleypay/parley/messaging"
	"github.com/parleypay/parley/messaging/content"
)

// A payment part carries exact signed bytes, with a text for programs that know nothing of payments.
func Example() {
	m := content.Payment("application/vnd.parley.request+jws", []byte("signed bytes"), "Payment request: USD 4.50")
	m.Expires = content.ExpiresAt(time.Unix(1_800_000_000, 0))
	m.NewSalt()
	sealed, err := content.Encode(m) // what MLS encrypts
	fmt.Println(len(sealed), "octets,", err)

	got, err := content.Decode(sealed)
	if err != nil {
		fmt.Println(err)
		return
	}
	mediaType, body := got.First()
	fmt.Printf("%s: %s\n", mediaType, body)
	fmt.Println(got.Text())

	id := content.ID(messaging.DeviceID{0xaa}, messaging.ChatID{0xbb}, sealed, got.Salt)
	fmt.Println("the message id begins with", id[0], "and names sender, chat and content")
	_, err = content.Decode(append(sealed, 0))
	fmt.Println(err)
	// Output:
	// 145 octets, <nil>
	// application/vnd.parley.request+jws: signed bytes
	// Payment request: USD 4.50
	// the message id begins with 1 and names sender, chat and content
	// content: at octet 145: want the end
}
