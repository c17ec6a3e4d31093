// conch exec --seed ../seed.json -- mvn test
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class NotesTest {
    private static final String URL = System.getenv("CONCH_URL");
    private static final String OWNER = System.getenv("CONCH_TOKEN");
    private final HttpClient client = HttpClient.newHttpClient();

    @BeforeEach
    void sameDataForEachTest() throws Exception {
        assertEquals(204, send("POST", "/api/test/reset", "").statusCode());
    }

    @Test
    void aNoteIsDeleted() throws Exception {
        String page = send("GET", "/api/collections/notes/records", "").body();
        String id = page.replaceAll("(?s).*\"id\":\"([a-z0-9]+)\".*", "$1");
        assertEquals(204, send("DELETE", "/api/collections/notes/records/" + id, "").statusCode());
        assertTrue(send("GET", "/api/collections/notes/records", "").body().contains("\"totalItems\":0"));
    }

    @Test
    void theNoteIsThereAgain() throws Exception {
        assertTrue(send("GET", "/api/collections/notes/records", "").body().contains("Buy milk"));
    }

    private HttpResponse<String> send(String method, String path, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(URL + path))
            .header("Authorization", OWNER)
            .header("Content-Type", "application/json")
            .method(method, body.isEmpty() ? BodyPublishers.noBody() : BodyPublishers.ofString(body))
            .build();
        return client.send(request, BodyHandlers.ofString());
    }
}
