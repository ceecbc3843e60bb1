import java.io.FileReader;
import java.util.HashMap;
import java.util.Properties;
import org.eclipse.dataspacetck.core.system.ConsoleMonitor;
import org.eclipse.dataspacetck.runtime.TckRuntime;

/** Runs one group of the Decentralized Claims Protocol kit with the properties file that is named, and says what it found. */
public class Kit {
    public static void main(String... arguments) throws Exception {
        var file = new Properties();
        try (var reader = new FileReader(arguments[0])) {
            file.load(reader);
        }
        var properties = new HashMap<String, String>();
        file.forEach((name, value) -> properties.put((String) name, (String) value));
        var summary = TckRuntime.Builder.newInstance()
                .properties(properties)
                .addPackage("org.eclipse.dataspacetck.dcp.verification." + arguments[1])
                .monitor(new ConsoleMonitor(false, false))
                .build()
                .execute();
        summary.getFailures().forEach(failure -> System.out.printf(
                "FAILED %s: %s%n", failure.getTestIdentifier().getDisplayName(), failure.getException()));
        System.out.printf("Passed tests: %d%nFailed tests: %d%nSkipped tests: %d%n",
                summary.getTestsSucceededCount(), summary.getTestsFailedCount(), summary.getTestsSkippedCount());
        System.exit(summary.getTestsFailedCount() == 0 ? 0 : 1);
    }
}
