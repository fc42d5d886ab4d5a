import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/**
 * Post calls to a lossd server with Java 17 or later and nothing but its standard library.
 *
 * <p>Run: {@code LOSSD_URL=http://127.0.0.1:8000 java Lossd.java}
 *
 * <p>The standard library reads no JSON, so patterns pick out the two values; use your JSON library there.
 */
public class Lossd {
    static final String URL = System.getenv().getOrDefault("LOSSD_URL", "http://127.0.0.1:8000");
    static final String SAFETENSORS = "application/vnd.safetensors";
    static final HttpClient CLIENT = HttpClient.newHttpClient(); // keeps connections open: share it

    public static void main(String[] arguments) throws Exception {
        json();
        arrays();
    }

    /** Sends JSON, and reads JSON. */
    static void json() throws Exception {
        String call = """
            {"input": [1, 2, 5, 2], "target": [1.5, 2, 2, 4], "delta": 1, "gradient": true}""";
        byte[] body = call.getBytes(StandardCharsets.UTF_8);
        String answer = text(post("/v1/losses/huber", body, "application/json"));
        System.out.println("huber loss " + find("\"loss\":\\{\"mean\":([^,}]+)", answer).group(1));
        System.out.println("huber gradient " + find("\"input\":\\[([^]]*)", answer).group(1).replace(",", " "));
    }

    /** Sends arrays as the bytes that they are; options go into the query string. */
    static void arrays() throws Exception {
        float[] logits = {0, 0, 0, 0, (float) Math.log(3), 0, 0, 0}; // two rows of four classes
        long[] classes = {2, 0};
        String header = """
            {"input": {"dtype": "F32", "shape": [2, 4], "data_offsets": [0, 32]},
             "target": {"dtype": "I64", "shape": [2], "data_offsets": [32, 48]}}""";
        // safetensors: the header's length, a JSON header, then the arrays one after another.
        ByteBuffer body = ByteBuffer.allocate(8 + header.length() + 48).order(ByteOrder.LITTLE_ENDIAN);
        body.putLong(header.length()).put(header.getBytes(StandardCharsets.US_ASCII));
        for (float logit : logits) body.putFloat(logit);
        for (long each : classes) body.putLong(each);

        byte[] answer = post("/v1/losses/cross_entropy?gradient=true", body.array(), SAFETENSORS);
        System.out.println("cross_entropy loss" + floats(answer, "loss.mean"));
        System.out.println("cross_entropy gradient" + floats(answer, "gradient.mean.input"));
    }

    /** Posts a body and returns the answer's, in the same format. */
    static byte[] post(String path, byte[] body, String format) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(URL + path))
            .header("Content-Type", format)
            .header("Accept", format)
            .POST(BodyPublishers.ofByteArray(body))
            .build();
        HttpResponse<byte[]> response = CLIENT.send(request, BodyHandlers.ofByteArray());
        if (response.statusCode() != 200) {
            // A problem as JSON (RFC 9457): `detail` says what was expected, what came, and where.
            throw new IOException(path + ": " + response.statusCode() + ": " + text(response.body()));
        }
        return response.body();
    }

    /** Writes the numbers of a float32 array of a safetensors file. */
    static String floats(byte[] file, String name) {
        ByteBuffer bytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        int start = 8 + (int) bytes.getLong(0);
        String header = text(file).substring(0, start);
        String entry = Pattern.quote('"' + name + '"') + ":\\s*\\{[^}]*\"data_offsets\":\\s*\\[(\\d+),\\s*(\\d+)";
        MatchResult offsets = find(entry, header);
        StringBuilder numbers = new StringBuilder();
        for (int at = Integer.parseInt(offsets.group(1)); at < Integer.parseInt(offsets.group(2)); at += 4) {
            numbers.append(' ').append(bytes.getFloat(start + at));
        }
        return numbers.toString();
    }

    static MatchResult find(String pattern, String text) {
        return Pattern.compile(pattern).matcher(text).results().findFirst()
            .orElseThrow(() -> new IllegalStateException("expected " + pattern + ", got " + text));
    }

    static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.ISO_8859_1); // one character per byte, so offsets hold
    }
}
