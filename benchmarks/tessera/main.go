package main

import (
	"context"
	"fmt"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
)

func main() {
	fmt.Println(context.Background(), tessera.NewAppendOptions(), posix.Config{})
}
