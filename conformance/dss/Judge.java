import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.pades.validation.PDFDocumentValidator;
import eu.europa.esig.dss.pdf.modifications.DefaultPdfDifferencesFinder;
import eu.europa.esig.dss.pdf.pdfbox.PdfBoxDefaultObjectFactory;
import eu.europa.esig.dss.simplereport.SimpleReport;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.signature.AdvancedSignature;
import eu.europa.esig.dss.spi.validation.CertificateVerifier;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * The verdicts of the European Commission's DSS, with nothing online: `java Judge.java LIST`. Each line of LIST is a file,
 * and after tabs the files that lie beside it; a line that begins with `root` names certificates (DER) to trust, and one
 * with `at` the moment (seconds since 1970); without one, a file is judged as of an hour after the last time in it, when
 * its certificates were fresh. Without roots every self-signed certificate in the files is one. Prints a line of JSON for
 * each root (base64) and for each file.
 */
class Judge {
    public static void main(String[] arguments) throws Exception {
        List<String[]> files = new ArrayList<>();
        Map<String, CertificateToken> roots = new TreeMap<>();
        Date at = null;
        Map<String, Date> times = new TreeMap<>();
        boolean named = false;
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] parts = line.split("\t");
            if (parts[0].equals("root")) {
                CertificateToken token = DSSUtils.loadCertificate(new File(parts[1]));
                roots.put(token.getDSSIdAsString(), token);
                named = true;
            } else if (parts[0].equals("at")) {
                at = new Date(Long.parseLong(parts[1]) * 1000);
            } else {
                files.add(parts);
            }
        }
        if (!named) {
            for (String[] file : files) {
                collect(file, roots, times);
            }
            for (CertificateToken root : roots.values()) {
                System.out.println("{\"root\": \"" + Base64.getEncoder().encodeToString(root.getEncoded()) + "\"}");
            }
        }
        for (String[] file : files) {
            Date moment = at != null ? at : times.getOrDefault(file[0], new Date());
            System.out.println(judge(file, roots, moment));
        }
        System.exit(0);
    }

    static SignedDocumentValidator open(String[] file, Map<String, CertificateToken> roots) {
        SignedDocumentValidator validator = SignedDocumentValidator.fromDocument(new FileDocument(new File(file[0])));
        CertificateVerifier verifier = new CommonCertificateVerifier();
        CommonTrustedCertificateSource trusted = new CommonTrustedCertificateSource();
        roots.values().forEach(trusted::addCertificate);
        verifier.setTrustedCertSources(trusted);
        verifier.setAIASource(null);
        validator.setCertificateVerifier(verifier);
        if (validator instanceof PDFDocumentValidator pdf) {
            // pages are not drawn and compared: that takes minutes, and is not what is asked here
            DefaultPdfDifferencesFinder finder = new DefaultPdfDifferencesFinder();
            finder.setMaximalPagesAmountForVisualComparison(0);
            PdfBoxDefaultObjectFactory factory = new PdfBoxDefaultObjectFactory();
            factory.setPdfDifferencesFinder(finder);
            pdf.setPdfObjFactory(factory);
        }
        List<DSSDocument> beside = new ArrayList<>();
        for (int index = 1; index < file.length; index++) {
            beside.add(new FileDocument(new File(file[index])));
        }
        if (!beside.isEmpty()) {
            validator.setDetachedContents(beside);
        }
        return validator;
    }

    static void collect(String[] file, Map<String, CertificateToken> roots, Map<String, Date> times) {
        try {
            for (AdvancedSignature signature : open(file, Map.of()).getSignatures()) {
                List<CertificateToken> found = new ArrayList<>(signature.getCertificates());
                List<Date> dates = new ArrayList<>();
                if (signature.getSigningTime() != null) {
                    dates.add(signature.getSigningTime());
                }
                signature.getAllTimestamps().forEach(stamp -> {
                    found.addAll(stamp.getCertificates());
                    dates.add(stamp.getCreationDate());
                });
                for (Date date : dates) {
                    Date later = new Date(date.getTime() + 3_600_000);
                    times.merge(file[0], later, (one, two) -> one.after(two) ? one : two);
                }
                signature.getCompleteCertificateSource().getSources().forEach(source -> found.addAll(source.getCertificates()));
                for (CertificateToken token : found) {
                    if (token.isSelfSigned()) {
                        roots.put(token.getDSSIdAsString(), token);
                    }
                }
            }
        } catch (Throwable error) {
            // what cannot be read has no certificates
        }
    }

    static String judge(String[] file, Map<String, CertificateToken> roots, Date at) {
        StringBuilder line = new StringBuilder("{\"file\": " + quoted(file[0]));
        try {
            SignedDocumentValidator validator = open(file, roots);
            validator.setValidationTime(at);
            SimpleReport report = validator.validateDocument().getSimpleReport();
            line.append(", \"at\": ").append(at.getTime() / 1000).append(", \"signatures\": [");
            String comma = "";
            for (String id : report.getSignatureIdList()) {
                Map<String, String> told = new LinkedHashMap<>();
                told.put("indication", String.valueOf(report.getIndication(id)));
                told.put("subindication", report.getSubIndication(id) == null ? "" : report.getSubIndication(id).name());
                told.put("format", String.valueOf(report.getSignatureFormat(id)));
                told.put("proven", String.valueOf(report.getBestSignatureTime(id).getTime() / 1000));
                told.put("claimed", report.getSigningTime(id) == null ? "" : String.valueOf(report.getSigningTime(id).getTime() / 1000));
                StringBuilder why = new StringBuilder();
                report.getAdESValidationErrors(id).forEach(message -> why.append(message.getValue()).append(" "));
                told.put("why", why.toString().trim());
                line.append(comma).append("{");
                String inner = "";
                for (Map.Entry<String, String> entry : told.entrySet()) {
                    line.append(inner).append(quoted(entry.getKey())).append(": ").append(quoted(entry.getValue()));
                    inner = ", ";
                }
                line.append("}");
                comma = ", ";
            }
            line.append("]}");
        } catch (Throwable error) {
            line.append(", \"error\": ").append(quoted(error.getClass().getSimpleName() + ": " + error.getMessage())).append("}");
        }
        return line.toString();
    }

    static String quoted(String text) {
        StringBuilder made = new StringBuilder("\"");
        for (char c : String.valueOf(text).toCharArray()) {
            if (c == '"' || c == '\\') {
                made.append('\\').append(c);
            } else if (c < 32) {
                made.append(String.format("\\u%04x", (int) c));
            } else {
                made.append(c);
            }
        }
        return made.append('"').toString();
    }
}
