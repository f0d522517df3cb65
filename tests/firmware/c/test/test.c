/* Merges the published vectors through the C interface, to the bits, and tries what must be refused. */
#include "fisher_merge.h"

#include <stddef.h>
#include <stdint.h>

struct row {
    uint8_t mean_type, fisher_type, out_type, models;
    uint32_t weights[FM_MODELS_MAX], fishers[FM_MODELS_MAX], means[FM_MODELS_MAX];
    uint32_t out, mean, precision;
};

#include "vectors.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* One number of any type. */
union number {
    float single;
    uint32_t word;
    uint16_t half;
};

void machine_print(const char *text);

static union number number(uint32_t type, uint32_t pattern) {
    union number number;
    number.word = 0;
    if (type == FM_F32) {
        number.word = pattern;
    } else {
        number.half = (uint16_t)pattern;
    }
    return number;
}

static uint32_t pattern(uint32_t type, union number number) { return type == FM_F32 ? number.word : number.half; }

static int row_is_met(const struct row *row) {
    union number fishers[FM_MODELS_MAX], means[FM_MODELS_MAX], out, mean, precision;
    fm_model models[FM_MODELS_MAX];
    fm_numbers_out stored = {row->out_type, &out}, single = {FM_F32, &mean};
    fm_summary summary;
    uint32_t model;
    for (model = 0; model < row->models; model++) {
        fishers[model] = number(row->fisher_type, row->fishers[model]);
        means[model] = number(row->mean_type, row->means[model]);
        models[model].mean.type = row->mean_type;
        models[model].mean.data = &means[model];
        models[model].fisher.type = row->fisher_type;
        models[model].fisher.data = &fishers[model];
        models[model].weight = number(FM_F32, row->weights[model]).single;
    }
    if (fm_merge(models, row->models, 1, FM_KEEP_TARGET, stored, NULL, &summary) != FM_OK || summary.elements != 1) {
        return 0;
    }
    if (fm_merge(models, row->models, 1, FM_KEEP_TARGET, single, &precision.single, NULL) != FM_OK) {
        return 0;
    }
    return pattern(row->out_type, out) == row->out && mean.word == row->mean && precision.word == row->precision;
}

static int vectors_are_met(void) {
    size_t at;
    for (at = 0; at < COUNT(rows); at++) {
        if (!row_is_met(&rows[at])) {
            return 0;
        }
    }
    return COUNT(rows) > 500;
}

static const float a[2] = {1.0f, 5.0f}, fisher_a[2] = {3.0f, 0.0f};
static const float b[2] = {2.0f, 7.0f}, fisher_b[2] = {1.0f, 0.0f};
static const fm_model first = {{FM_F32, a}, {FM_F32, fisher_a}, 1.0f}, second = {{FM_F32, b}, {FM_F32, fisher_b}, 1.0f};

/* Valid after every call. */
static int running_is_right(void) {
    float precision[2] = {0.0f, 0.0f}, mean[2] = {0.0f, 0.0f}, weight = 0.0f;
    uint32_t absorbed = 0;
    if (fm_absorb(precision, mean, 2, &weight, &absorbed, &first) != FM_OK || mean[0] != 1.0f || mean[1] != 5.0f) {
        return 0;
    }
    if (fm_absorb(precision, mean, 2, &weight, &absorbed, &second) != FM_OK) {
        return 0;
    }
    return mean[0] == 1.25f && mean[1] == 5.0f && precision[0] == 4.0f && precision[1] == 0.0f && weight == 2.0f && absorbed == 2;
}

static int fishers_are_right(void) {
    static const uint16_t gradient[2] = {0x4400, 0xc000}; /* 4 and -2, under a loss scale of 2 */
    float state[12], fisher[2];
    uint8_t header[FM_FISHER_HEADER];
    fm_numbers numbers = {FM_F16, gradient};
    if (fm_fisher_state_len(2) != COUNT(state) || fm_fisher_start(state, 2, 7, header) != FM_OK) {
        return 0;
    }
    if (fm_fisher_finish(state, 2, header, fisher) != FM_NO_EXAMPLES) {
        return 0;
    }
    if (fm_fisher_example(state, 2, header, numbers, 2.0f) != FM_OK || fm_fisher_example(state, 2, header, numbers, 2.0f) != FM_OK) {
        return 0;
    }
    if (fm_fisher_finish(state, 2, header, fisher) != FM_OK || fisher[0] != 4.0f || fisher[1] != 1.0f) {
        return 0;
    }
    return 1;
}

/* A header that is not the state's, by the one byte that differs: refused by its code, with the output as it was. */
static int headers_are_refused(void) {
    static const struct {
        uint8_t at, byte;
        int32_t code;
    } wrong[] = {
        {0, 0, FM_FISHER_FOREIGN},        {4, 2, FM_FISHER_VERSION},    {6, 2, FM_FISHER_ELEMENT},
        {7, 1, FM_FISHER_ESTIMATOR},      {7, 9, FM_FISHER_FOREIGN},    {16, 0, FM_FISHER_ZERO},
        {16, 3, FM_FISHER_LENGTH},        {20, 3, FM_FISHER_STRUCTURE}, {24, 9, FM_FISHER_LENGTH},
        {31, 255, FM_FISHER_LENGTH},      {40, 2, FM_FISHER_COUNTS},
    };
    static const float gradient[2] = {1.0f, 2.0f};
    float state[12], fisher[2] = {9.0f, 9.0f};
    uint8_t header[FM_FISHER_HEADER];
    fm_numbers numbers = {FM_F32, gradient};
    size_t at;
    int right = fm_fisher_start(state, 2, 7, header) == FM_OK;
    right &= fm_fisher_example(state, 2, header, numbers, 0.0f) == FM_BAD_LOSS_SCALE;
    right &= fm_fisher_example(state, 2, header, numbers, 1.0f) == FM_OK;
    for (at = 0; at < COUNT(wrong); at++) {
        uint8_t byte = header[wrong[at].at];
        header[wrong[at].at] = wrong[at].byte;
        right &= fm_fisher_finish(state, 2, header, fisher) == wrong[at].code;
        right &= fm_fisher_example(state, 2, header, numbers, 1.0f) == wrong[at].code;
        header[wrong[at].at] = byte;
    }
    right &= fm_fisher_finish(state, 1, header, fisher) == FM_FISHER_LENGTH;
    right &= fm_fisher_finish(NULL, 2, header, fisher) == FM_NULL;
    right &= fisher[0] == 9.0f && fisher[1] == 9.0f;
    right &= fm_fisher_finish(state, 2, header, fisher) == FM_OK && fisher[0] == 1.0f && fisher[1] == 4.0f;
    return right;
}

/* Each by its code, with the output as it was. */
static int refusals_are_right(void) {
    union number nan;
    float out[2] = {9.0f, 9.0f}, bad[2] = {1.0f, 0.0f};
    fm_numbers_out mean = {FM_F32, out}, unknown = {9, out};
    fm_model models[2], many[FM_MODELS_MAX + 1] = {{{0, NULL}, {0, NULL}, 0.0f}};
    int right = 1;
    nan.word = 0x7fc00000;
    bad[1] = nan.single;
    models[0] = first;
    models[1] = second;
    right &= fm_merge(NULL, 2, 2, FM_KEEP_TARGET, mean, NULL, NULL) == FM_NULL;
    right &= fm_merge(models, 0, 2, FM_KEEP_TARGET, mean, NULL, NULL) == FM_NO_MODELS;
    right &= fm_merge(models, 2, 2, 7, mean, NULL, NULL) == FM_POLICY;
    right &= fm_merge(models, 2, 2, FM_KEEP_TARGET, unknown, NULL, NULL) == FM_TYPE;
    right &= fm_merge(many, FM_MODELS_MAX + 1, 2, FM_KEEP_TARGET, mean, NULL, NULL) == FM_MODELS;
    models[1].mean.data = bad;
    right &= fm_merge(models, 2, 2, FM_KEEP_TARGET, mean, NULL, NULL) == FM_BAD_NUMBER;
    models[1] = second;
    models[1].weight = -1.0f;
    right &= fm_merge(models, 2, 2, FM_KEEP_TARGET, mean, NULL, NULL) == FM_BAD_WEIGHT;
    models[0].weight = models[1].weight = 0.0f;
    right &= fm_merge(models, 2, 2, FM_KEEP_TARGET, mean, NULL, NULL) == FM_ALL_WEIGHTS_ZERO;
    right &= out[0] == 9.0f && out[1] == 9.0f;
    models[0] = first;
    models[1] = second;
    right &= fm_merge(models, 2, 2, FM_REFUSE, mean, NULL, NULL) == FM_NO_EVIDENCE;
    return right;
}

int machine_main(void) {
    static const struct {
        const char *name;
        int (*test)(void);
    } tests[] = {
        {"C: the published vectors\n", vectors_are_met},
        {"C: a running product\n", running_is_right},
        {"C: a Fisher\n", fishers_are_right},
        {"C: headers of other states\n", headers_are_refused},
        {"C: refusals\n", refusals_are_right},
    };
    int status = 0;
    size_t at;
    for (at = 0; at < COUNT(tests); at++) {
        int right = tests[at].test();
        machine_print(right ? "right: " : "WRONG: ");
        machine_print(tests[at].name);
        status |= !right;
    }
    return status;
}
