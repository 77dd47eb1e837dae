package app;

import java.nio.file.Path;
import java.util.stream.IntStream;

public final class Main {
    record Sum(int count, long value) {}

    public static void main(String[] args) {
        var sum = new Sum(10, IntStream.rangeClosed(1, 10).asLongStream().sum());
        System.out.println(sum + " in " + Path.of("").toAbsolutePath() + " with "
                + (Runtime.getRuntime().maxMemory() >> 20) + " MB");
    }
}
