package storage

import (
	"encoding/base64"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// checksumAlgorithm is that of the checksums of an upload's parts; "" for none.
type checksumAlgorithm string

// The algorithms under the names that S3 gives them.
const (
	withSHA256    checksumAlgorithm = "SHA256"
	withCRC32     checksumAlgorithm = "CRC32"
	withCRC32C    checksumAlgorithm = "CRC32C"
	withCRC64NVME checksumAlgorithm = "CRC64NVME"
)

// size returns the number of bytes of a checksum; 0 for an unknown algorithm.
func (a checksumAlgorithm) size() int {
	switch a {
	case withSHA256:
		return 32
	case withCRC32, withCRC32C:
		return 4
	case withCRC64NVME:
		return 8
	}
	return 0
}

// kind returns what the checksum of the whole object is. S3 computes a CRC of the whole
// from those of the parts; for SHA-256 it can only hash the hashes (Amazon S3 User Guide,
// "Checking object integrity for data uploads in Amazon S3").
func (a checksumAlgorithm) kind() types.ChecksumType {
	switch a {
	case "":
		return ""
	case withSHA256:
		return types.ChecksumTypeComposite
	case withCRC32, withCRC32C, withCRC64NVME:
		return types.ChecksumTypeFullObject
	}
	return ""
}

func (a checksumAlgorithm) check() string {
	if a != "" && a.size() == 0 {
		return `"checksum_algorithm" must be SHA256, CRC32, CRC32C or CRC64NVME`
	}
	return ""
}

// checkParts describes what is wrong with the checksums of so many parts.
func (a checksumAlgorithm) checkParts(checksums []string, parts int) string {
	switch {
	case a == "" && len(checksums) > 0:
		return `"checksums" need a "checksum_algorithm" when the upload is created`
	case a == "":
		return ""
	case len(checksums) != parts:
		return fmt.Sprintf(`"checksums" must hold one %s for each of "part_numbers"`, a)
	}
	for i, value := range checksums {
		if !isBase64(value, a.size()) {
			return fmt.Sprintf(`"checksums" hold something that is not a %s in base64, at place %d`, a, i+1)
		}
	}
	return ""
}

// sign adds the checksum of a part to what is signed.
func (a checksumAlgorithm) sign(input *s3.UploadPartInput, value string) {
	switch a {
	case withSHA256:
		input.ChecksumSHA256 = &value
	case withCRC32:
		input.ChecksumCRC32 = &value
	case withCRC32C:
		input.ChecksumCRC32C = &value
	case withCRC64NVME:
		input.ChecksumCRC64NVME = &value
	}
}

// of returns the checksum of a part that S3 has.
func (a checksumAlgorithm) of(part *types.Part) string {
	switch a {
	case withSHA256:
		return aws.ToString(part.ChecksumSHA256)
	case withCRC32:
		return aws.ToString(part.ChecksumCRC32)
	case withCRC32C:
		return aws.ToString(part.ChecksumCRC32C)
	case withCRC64NVME:
		return aws.ToString(part.ChecksumCRC64NVME)
	}
	return ""
}

// complete adds the checksum of a part to what S3 compares when the upload is completed.
func (a checksumAlgorithm) complete(part *types.CompletedPart, value string) {
	switch a {
	case withSHA256:
		part.ChecksumSHA256 = &value
	case withCRC32:
		part.ChecksumCRC32 = &value
	case withCRC32C:
		part.ChecksumCRC32C = &value
	case withCRC64NVME:
		part.ChecksumCRC64NVME = &value
	}
}

// isBase64 reports whether text is n bytes in base64. It compares the length as well,
// because the decoder skips line breaks, which must not reach a header.
func isBase64(text string, n int) bool {
	decoded, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil && len(decoded) == n && len(text) == base64.StdEncoding.EncodedLen(n)
}
