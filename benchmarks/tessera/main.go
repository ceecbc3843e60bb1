// Command tessera measures durable appends into a Tessera POSIX log, the peer of benchmarks/log.py.
//
// Each of -submitters goroutines adds unique entries one after the other and waits for each to be durable and
// integrated. A batch is flushed as soon as every submitter is in it, which is the best case for closed loops; the
// checkpoint is published every 100 ms. Duplicates are not looked for (ours are).
package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"flag"
	"log"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

var (
	dir        = flag.String("dir", "", "folder for the log")
	submitters = flag.Int("submitters", 256, "how many append at once")
	seconds    = flag.Float64("seconds", 3, "how long to append")
	size       = flag.Int("bytes", 500, "size of an entry")
)

func main() {
	flag.Parse()
	ctx := context.Background()
	secret, _, err := note.GenerateKey(rand.Reader, "tessera.test.example")
	if err != nil {
		log.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		log.Fatal(err)
	}
	driver, err := posix.New(ctx, posix.Config{Path: *dir})
	if err != nil {
		log.Fatal(err)
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(uint(min(*submitters, tessera.DefaultBatchMaxSize)), 5*time.Millisecond).
		WithCheckpointInterval(100 * time.Millisecond)
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		log.Fatal(err)
	}

	begin := time.Now()
	end := begin.Add(time.Duration(*seconds * float64(time.Second)))
	latencies := make([][]time.Duration, *submitters)
	var wait sync.WaitGroup
	for n := range *submitters {
		wait.Go(func() {
			for i := uint64(0); time.Now().Before(end); i++ {
				entry := make([]byte, *size)
				binary.BigEndian.PutUint64(entry, uint64(n))
				binary.BigEndian.PutUint64(entry[8:], i)
				start := time.Now()
				if _, err := appender.Add(ctx, tessera.NewEntry(entry))(); err != nil {
					log.Fatal(err)
				}
				latencies[n] = append(latencies[n], time.Since(start))
			}
		})
	}
	wait.Wait()
	elapsed := time.Since(begin)
	if err := shutdown(ctx); err != nil {
		log.Fatal(err)
	}
	all := slices.Concat(latencies...)
	slices.Sort(all)
	milliseconds := func(share float64) float64 {
		return float64(all[int(share*float64(len(all)-1))]) / float64(time.Millisecond)
	}
	_ = json.NewEncoder(os.Stdout).Encode(map[string]float64{
		"per_second": float64(len(all)) / elapsed.Seconds(),
		"p50_ms":     milliseconds(0.50),
		"p99_ms":     milliseconds(0.99),
	})
}
