import java.io.FileReader;
import java.util.HashMap;
import java.util.Properties;
import org.eclipse.dataspacetck.core.system.ConsoleMonitor;
import org.eclipse.dataspacetck.runtime.TckRuntime;

/** Runs the tests of a Java package of an Eclipse kit: arguments are the kit's properties file and the package. */
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
                .addPackage(arguments[1])
                .monitor(new ConsoleMonitor(false, false))
                .build()
                .execute();
        summary.getFailures().forEach(failure -> System.out.printf(
                "FAILED %s: %s%n", failure.getTestIdentifier().getDisplayName(), failure.getException()));
        System.out.printf("Passed tests: %d%nFailed tests: %d%n",
                summary.getTestsSucceededCount(), summary.getTestsFailedCount());
        System.exit(summary.getTestsFailedCount() == 0 ? 0 : 1);
    }
}
