package seal_test

import (
	"crypto/rand"
	"errors"
	"fmt"

	"cognito-token-handler/tokenhandler/seal"
)

// A value opens only under the name that it was sealed for, and as long as its key
// is on the keyring.
func ExampleCodec() {
	first, second := make([]byte, seal.KeySize), make([]byte, seal.KeySize)
	_, _ = rand.Read(first)
	_, _ = rand.Read(second)
	keys, err := seal.NewKeyring([][]byte{first})
	if err != nil {
		fmt.Println(err)
		return
	}
	codec := seal.Codec{Keys: keys, MaxLength: 4096}
	value, err := codec.Encode("session", []byte("a secret"))
	if err != nil {
		fmt.Println(err)
		return
	}

	// A rotation puts a new key first. The old one still opens.
	if err := keys.Replace([][]byte{second, first}); err != nil {
		fmt.Println(err)
		return
	}
	var plain []byte
	fmt.Println(codec.Decode("session", value, &plain), string(plain))
	fmt.Println(errors.Is(codec.Decode("other", value, &plain), seal.ErrTampered))

	// Without its key the value is lost.
	_ = keys.Replace([][]byte{second})
	fmt.Println(errors.Is(codec.Decode("session", value, &plain), seal.ErrUnknownKey))
	// Output:
	// <nil> a secret
	// true
	// true
}
