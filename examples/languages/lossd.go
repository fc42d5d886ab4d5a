// Post calls to a lossd server from Go, with the standard library alone.
//
// Run: LOSSD_URL=http://127.0.0.1:8000 go run lossd.go
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"os"
)

const safetensors = "application/vnd.safetensors"

func main() {
	log.SetFlags(0)
	if err := huber(); err != nil {
		log.Fatal(err)
	}
	if err := crossEntropy(); err != nil {
		log.Fatal(err)
	}
}

// huber sends JSON and reads JSON. Values are keyed by reduction, so each has one Go type.
func huber() error {
	call, err := json.Marshal(map[string]any{
		"input":    []float64{1, 2, 5, 2},
		"target":   []float64{1.5, 2, 2, 4},
		"delta":    1,
		"gradient": true,
	})
	if err != nil {
		return err
	}
	body, err := post("/v1/losses/huber", "application/json", call)
	if err != nil {
		return err
	}
	var answer struct {
		Loss     struct{ Mean float64 }
		Gradient struct{ Mean struct{ Input []float64 } }
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	fmt.Println("huber loss", answer.Loss.Mean)
	fmt.Println("huber gradient", answer.Gradient.Mean.Input)
	return nil
}

// crossEntropy sends arrays as the bytes that they are; options go into the query string.
func crossEntropy() error {
	logits := []float32{0, 0, 0, 0, float32(math.Log(3)), 0, 0, 0} // two rows of four classes
	classes := []int64{2, 0}
	header := []byte(`{"input": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]},
		"target": {"dtype": "I64", "shape": [2], "data_offsets": [32, 48]}}`)
	// safetensors: the header's length, a JSON header, then the arrays one after another.
	var call bytes.Buffer
	for _, part := range []any{uint64(len(header)), header, logits, classes} {
		if err := binary.Write(&call, binary.LittleEndian, part); err != nil {
			return err
		}
	}
	body, err := post("/v1/losses/cross_entropy?gradient=true", safetensors, call.Bytes())
	if err != nil {
		return err
	}
	loss, err := floats(body, "loss.mean")
	if err != nil {
		return err
	}
	gradient, err := floats(body, "gradient.mean.input")
	if err != nil {
		return err
	}
	fmt.Println("cross_entropy loss", loss)
	fmt.Println("cross_entropy gradient", gradient)
	return nil
}

// floats reads one float32 array of a safetensors file.
func floats(file []byte, name string) ([]float32, error) {
	if len(file) < 8 {
		return nil, io.ErrUnexpectedEOF
	}
	start := 8 + binary.LittleEndian.Uint64(file)
	var header map[string]struct {
		Offsets [2]uint64 `json:"data_offsets"`
	}
	if err := json.Unmarshal(file[8:start], &header); err != nil {
		return nil, err
	}
	at := header[name].Offsets
	values := make([]float32, (at[1]-at[0])/4)
	err := binary.Read(bytes.NewReader(file[start+at[0]:start+at[1]]), binary.LittleEndian, values)
	return values, err
}

// post sends a body and returns the answer's, in the same format.
func post(path, format string, body []byte) ([]byte, error) {
	url := os.Getenv("LOSSD_URL")
	if url == "" {
		url = "http://127.0.0.1:8000"
	}
	request, err := http.NewRequest(http.MethodPost, url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", format)
	request.Header.Set("Accept", format)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		// A problem as JSON (RFC 9457): "detail" says what was expected, what came, and where.
		err = fmt.Errorf("%s: %s: %s", path, response.Status, answer)
	}
	return answer, err
}
