// Command tlog-go checks Wantong's log with the Go checksum database's own packages, and makes a log with them
// for Wantong to check. Nothing here is shared with the Python side but the C2SP specifications.
//
//	tlog-go check DIR    verify DIR/public, DIR/claims.json and DIR/*.tlog-proof against DIR/keys.json
//	tlog-go make DIR     make the same, from Go
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
	proofMagic = "c2sp.org/tlog-proof@v1"
)

// Keys are vkey strings.
type Keys struct {
	Log     string `json:"log"`
	Witness string `json:"witness"`
}

// Claims are proofs as lists of base64 hashes, with the roots they lead to.
type Claims struct {
	Inclusion []struct {
		Index int64       `json:"index"`
		Size  int64       `json:"size"`
		Leaf  tlog.Hash   `json:"leaf"`
		Root  tlog.Hash   `json:"root"`
		Proof []tlog.Hash `json:"proof"`
	} `json:"inclusion"`
	Consistency []struct {
		Old     int64       `json:"old"`
		New     int64       `json:"new"`
		OldRoot tlog.Hash   `json:"old_root"`
		NewRoot tlog.Hash   `json:"new_root"`
		Proof   []tlog.Hash `json:"proof"`
	} `json:"consistency"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: tlog-go check|make DIR")
	}
	var err error
	switch os.Args[1] {
	case "check":
		err = check(os.Args[2])
	case "make":
		err = makeLog(os.Args[2])
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1])
	}
	if err != nil {
		log.Fatal(err)
	}
}

// --- cosignature/v1, which golang.org/x/mod does not know --------------------------------------------------------

func cosignedMessage(text []byte, timestamp uint64) []byte {
	return append(fmt.Appendf(nil, "cosignature/v1\ntime %d\n", timestamp), text...)
}

type witnessKey struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func parseWitnessKey(vkey string) (*witnessKey, error) {
	name, rest, _ := strings.Cut(vkey, "+")
	id, encoded, _ := strings.Cut(rest, "+")
	hash, err := strconv.ParseUint(id, 16, 32)
	if err != nil {
		return nil, err
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) != 33 || key[0] != 4 {
		return nil, fmt.Errorf("not a cosignature vkey: %q", vkey)
	}
	if uint32(hash) != keyHash(name, key) {
		return nil, fmt.Errorf("key id does not match: %q", vkey)
	}
	return &witnessKey{name, uint32(hash), key[1:]}, nil
}

func keyHash(name string, key []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(sum[:])
}

func (w *witnessKey) Name() string    { return w.name }
func (w *witnessKey) KeyHash() uint32 { return w.hash }
func (w *witnessKey) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	return ed25519.Verify(w.key, cosignedMessage(text, binary.BigEndian.Uint64(sig)), sig[8:])
}

type witnessSigner struct {
	witnessKey
	private ed25519.PrivateKey
	now     uint64
}

func (w *witnessSigner) Sign(text []byte) ([]byte, error) {
	sig := binary.BigEndian.AppendUint64(nil, w.now)
	return append(sig, ed25519.Sign(w.private, cosignedMessage(text, w.now))...), nil
}

// --- tlog-tiles paths and files ----------------------------------------------------------------------------------

// tilePath is Go's path of a tile without the height, which C2SP fixes at 8.
func tilePath(t tlog.Tile) string {
	return "tile/" + strings.TrimPrefix(t.Path(), "tile/8/")
}

func bundlePath(n int64, width int) string {
	path := tlog.Tile{H: tileHeight, L: 0, N: n, W: width}.Path()
	return "tile/entries/" + strings.TrimPrefix(path, "tile/8/0/")
}

type tileFiles string

func (dir tileFiles) Height() int { return tileHeight }
func (dir tileFiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		var err error
		if data[i], err = os.ReadFile(filepath.Join(string(dir), tilePath(t))); err != nil {
			return nil, err
		}
	}
	return data, nil
}
func (dir tileFiles) SaveTiles([]tlog.Tile, [][]byte) {}

// --- check -------------------------------------------------------------------------------------------------------

func check(dir string) error {
	var keys Keys
	if err := readJSON(filepath.Join(dir, "keys.json"), &keys); err != nil {
		return err
	}
	logKey, err := note.NewVerifier(keys.Log)
	if err != nil {
		return fmt.Errorf("log vkey: %w", err)
	}
	witness, err := parseWitnessKey(keys.Witness)
	if err != nil {
		return err
	}
	verifiers := note.VerifierList(logKey, witness)
	public := filepath.Join(dir, "public")
	checkpoint, err := os.ReadFile(filepath.Join(public, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(checkpoint, verifiers, logKey.Name())
	if err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := checkEntries(public, tree); err != nil {
		return fmt.Errorf("tiles: %w", err)
	}
	inclusions, consistencies, err := checkClaims(filepath.Join(dir, "claims.json"))
	if err != nil {
		return err
	}
	receipts, err := filepath.Glob(filepath.Join(dir, "*.tlog-proof"))
	if err != nil {
		return err
	}
	for _, receipt := range receipts {
		if err := checkReceipt(receipt, verifiers, logKey.Name()); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(receipt), err)
		}
	}
	fmt.Printf("Go verified: checkpoint of size %d with cosignature, %d entries in tiles, %d inclusion proofs, "+
		"%d consistency proofs, %d receipts\n", tree.N, tree.N, inclusions, consistencies, len(receipts))
	return nil
}

// openCheckpoint verifies both the log's signature and the witness's, and parses the tree head.
func openCheckpoint(msg []byte, verifiers note.Verifiers, origin string) (tlog.Tree, error) {
	opened, err := note.Open(msg, verifiers)
	if err != nil {
		return tlog.Tree{}, err
	}
	if len(opened.Sigs) != 2 {
		return tlog.Tree{}, fmt.Errorf("%d verified signatures instead of 2", len(opened.Sigs))
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != origin || lines[3] != "" {
		return tlog.Tree{}, fmt.Errorf("not a checkpoint of %s: %q", origin, opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

// checkEntries compares every entry with its leaf hash; the hash reader authenticates each tile against the root.
func checkEntries(public string, tree tlog.Tree) error {
	reader := tlog.TileHashReader(tree, tileFiles(public))
	for n := int64(0); n*tileWidth < tree.N; n++ {
		width := int(min(tree.N-n*tileWidth, tileWidth))
		bundle, err := os.ReadFile(filepath.Join(public, bundlePath(n, width)))
		if err != nil {
			return err
		}
		indexes := make([]int64, width)
		for i := range indexes {
			indexes[i] = tlog.StoredHashIndex(0, n*tileWidth+int64(i))
		}
		hashes, err := reader.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i, want := range hashes {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("bundle %d is cut short at entry %d", n, i)
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			if tlog.RecordHash(bundle[2:end]) != want {
				return fmt.Errorf("entry %d has another hash", n*tileWidth+int64(i))
			}
			bundle = bundle[end:]
		}
		if len(bundle) != 0 {
			return fmt.Errorf("bundle %d is too long", n)
		}
	}
	return nil
}

func checkClaims(path string) (int, int, error) {
	var claims Claims
	if err := readJSON(path, &claims); err != nil {
		return 0, 0, err
	}
	for _, c := range claims.Inclusion {
		if err := tlog.CheckRecord(c.Proof, c.Size, c.Root, c.Index, c.Leaf); err != nil {
			return 0, 0, fmt.Errorf("inclusion of %d in %d: %w", c.Index, c.Size, err)
		}
	}
	for _, c := range claims.Consistency {
		if err := tlog.CheckTree(c.Proof, c.New, c.NewRoot, c.Old, c.OldRoot); err != nil {
			return 0, 0, fmt.Errorf("consistency of %d with %d: %w", c.Old, c.New, err)
		}
	}
	return len(claims.Inclusion), len(claims.Consistency), nil
}

func checkReceipt(path string, verifiers note.Verifiers, origin string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	head, checkpoint, found := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 3 || lines[0] != proofMagic {
		return fmt.Errorf("not a proof with extra data")
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	tree, err := openCheckpoint(checkpoint, verifiers, origin)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry))
}

// --- make --------------------------------------------------------------------------------------------------------

const (
	madeOrigin = "go.test.example/log"
	madeSize   = 70_000
	madeTime   = 1_763_690_000
)

func madeEntry(i int64) []byte {
	return fmt.Appendf(nil, `{"id":"%d","kind":"test.made-by-go","time":"2026-11-21T00:00:00Z"}`, i)
}

func makeLog(dir string) error {
	secret, public, err := note.GenerateKey(rand.Reader, madeOrigin)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return err
	}
	witness, witnessVkey, err := newWitness("witness.test.example/w1")
	if err != nil {
		return err
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	for i := range int64(madeSize) {
		hashes, err := tlog.StoredHashes(i, madeEntry(i), reader)
		if err != nil {
			return err
		}
		stored = append(stored, hashes...)
	}
	if err := writeTiles(filepath.Join(dir, "public"), reader); err != nil {
		return err
	}
	root, err := tlog.TreeHash(madeSize, reader)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", madeOrigin, madeSize, root)
	checkpoint, err := note.Sign(&note.Note{Text: text}, signer, witness)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "public", "checkpoint"), checkpoint); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, "keys.json"), Keys{public, witnessVkey}); err != nil {
		return err
	}
	if err := writeReceipts(dir, checkpoint, reader); err != nil {
		return err
	}
	return writeClaims(dir, reader)
}

func newWitness(name string) (*witnessSigner, string, error) {
	key, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", err
	}
	material := append([]byte{4}, key...)
	hash := keyHash(name, material)
	vkey := fmt.Sprintf("%s+%08x+%s", name, hash, base64.StdEncoding.EncodeToString(material))
	return &witnessSigner{witnessKey{name, hash, key}, private, madeTime}, vkey, nil
}

func writeTiles(public string, reader tlog.HashReader) error {
	for _, tile := range tlog.NewTiles(tileHeight, 0, madeSize) {
		data, err := tlog.ReadTileData(tile, reader)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(public, tilePath(tile)), data); err != nil {
			return err
		}
	}
	for n := int64(0); n*tileWidth < madeSize; n++ {
		width := min(madeSize-n*tileWidth, tileWidth)
		var bundle []byte
		for i := range width {
			entry := madeEntry(n*tileWidth + i)
			bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(entry)))
			bundle = append(bundle, entry...)
		}
		if err := writeFile(filepath.Join(public, bundlePath(n, int(width))), bundle); err != nil {
			return err
		}
	}
	return nil
}

func writeReceipts(dir string, checkpoint []byte, reader tlog.HashReader) error {
	for _, i := range []int64{0, 1, 255, 256, 65_535, 65_536, madeSize - 1} {
		proof, err := tlog.ProveRecord(madeSize, i, reader)
		if err != nil {
			return err
		}
		var receipt bytes.Buffer
		fmt.Fprintf(&receipt, "%s\nextra %s\nindex %d\n", proofMagic, base64.StdEncoding.EncodeToString(madeEntry(i)), i)
		for _, hash := range proof {
			fmt.Fprintf(&receipt, "%s\n", hash)
		}
		fmt.Fprintf(&receipt, "\n%s", checkpoint)
		if err := writeFile(filepath.Join(dir, fmt.Sprintf("%d.tlog-proof", i)), receipt.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func writeClaims(dir string, reader tlog.HashReader) error {
	type object = map[string]any
	inclusion, consistency := []object{}, []object{}
	sizes := []int64{1, 2, 3, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, madeSize}
	for _, size := range sizes {
		root, err := tlog.TreeHash(size, reader)
		if err != nil {
			return err
		}
		for _, index := range sizes {
			if index--; index >= size {
				break
			}
			proof, err := tlog.ProveRecord(size, index, reader)
			if err != nil {
				return err
			}
			inclusion = append(inclusion, object{
				"index": index, "size": size, "leaf": tlog.RecordHash(madeEntry(index)), "root": root, "proof": proof,
			})
		}
		for _, old := range sizes {
			if old > size {
				break
			}
			oldRoot, err := tlog.TreeHash(old, reader)
			if err != nil {
				return err
			}
			proof, err := tlog.ProveTree(size, old, reader)
			if err != nil {
				return err
			}
			consistency = append(consistency, object{
				"old": old, "new": size, "old_root": oldRoot, "new_root": root, "proof": proof,
			})
		}
	}
	return writeJSON(filepath.Join(dir, "claims.json"), object{"inclusion": inclusion, "consistency": consistency})
}

// --- files -------------------------------------------------------------------------------------------------------

func readJSON(path string, value any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, value)
}

func writeJSON(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return writeFile(path, data)
}

func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}
