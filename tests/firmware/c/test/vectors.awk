# The published vectors of f32 arithmetic as C, those of up to eight models: awk -f vectors.awk merge_f32.txt > vectors.h
BEGIN {
    type["f32"] = 1; type["f16"] = 2; type["bf16"] = 3
    print "static const struct row rows[] = {"
}
/^#/ || NF == 0 { next }
$5 <= 8 {
    weights = fishers = means = ""
    for (model = 0; model < $5; model++) {
        weights = weights "0x" $(6 + 3 * model) ","
        fishers = fishers "0x" $(7 + 3 * model) ","
        means = means "0x" $(8 + 3 * model) ","
    }
    end = 6 + 3 * $5
    printf "    {%d, %d, %d, %d, {%s}, {%s}, {%s}, 0x%s, 0x%s, 0x%s},\n", \
        type[$2], type[$3], type[$4], $5, weights, fishers, means, $end, $(end + 1), $(end + 2)
}
END { print "};" }
