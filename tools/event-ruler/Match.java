import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import software.amazon.event.ruler.RuleCompiler;
import software.amazon.event.ruler.Ruler;

/** Reads {"pattern", "event"} from each line; writes true, false, or what is wrong with the pattern. */
class Match {
    public static void main(String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode asked = json.readTree(line);
            String pattern = asked.get("pattern").toString();
            String wrong = RuleCompiler.check(pattern);
            boolean matches = wrong == null && Ruler.matchesRule(asked.get("event").toString(), pattern);
            System.out.println(wrong == null ? matches : wrong.lines().findFirst().get());
        }
    }
}
