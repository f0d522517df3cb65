/* fisher-merge for C: merges of models as Gaussian posteriors, running products and Fishers, in f32 arithmetic.
 *
 * No heap, no state of its own, no panics. All memory is the caller's. Every function gives 0, or an error: a positive number is the code
 * of the Rust library's error (Error::code, the FM_ names below), a negative one is of this interface. Where a call is refused, nothing
 * was written, unless said otherwise.
 *
 * Pointers must be aligned for their type and valid for the lengths that are given; outputs must not overlap inputs.
 */
#ifndef FISHER_MERGE_H
#define FISHER_MERGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Storage types. */
enum { FM_F32 = 1, FM_F16 = 2, FM_BF16 = 3 };

/* What an element without evidence gets. */
enum { FM_KEEP_TARGET = 0, FM_WEIGHTED_MEAN = 1, FM_REFUSE = 2 };

enum {
    FM_OK = 0,
    FM_NO_MODELS = 1,
    FM_LENGTH = 2,
    FM_BAD_WEIGHT = 4,
    FM_ALL_WEIGHTS_ZERO = 5,
    FM_BAD_NUMBER = 6,
    FM_NO_EVIDENCE = 7,
    FM_FISHER_LENGTH = 35,
    FM_NO_EXAMPLES = 39,
    FM_FISHER_TRUNCATED = 44,
    FM_FISHER_FOREIGN = 45,
    FM_FISHER_VERSION = 46,
    FM_FISHER_COUNTS = 48,
    /* Of this interface. */
    FM_NULL = -1,
    FM_TYPE = -2,
    FM_MODELS = -3,
    FM_POLICY = -4
};

/* Models that one merge takes at most; more go one after the other through fm_absorb. */
#define FM_MODELS_MAX 8

/* Numbers to read: `float` for FM_F32, else 16-bit patterns in the order of this machine. */
typedef struct {
    uint32_t type;
    const void *data;
} fm_numbers;

/* Numbers to write. */
typedef struct {
    uint32_t type;
    void *data;
} fm_numbers_out;

/* A posterior and its weight. A Fisher whose data is NULL is one everywhere: the plain average. */
typedef struct {
    fm_numbers mean;
    fm_numbers fisher;
    float weight;
} fm_model;

/* What a merge counted. */
typedef struct {
    uint64_t elements;
    uint64_t no_evidence;
    uint64_t out_of_range;
} fm_summary;

/* Merges `count` models of `n` parameters each. `precision` gets the merged precision, `summary` the counts; both may be NULL. All numbers
 * are looked at before the first is written, but for FM_REFUSE, whose refusal comes on the way. */
int32_t fm_merge(const fm_model *models, size_t count, size_t n, uint32_t no_evidence, fm_numbers_out mean, float *precision,
                 fm_summary *summary);

/* A running product is two slices and two numbers, which the caller keeps: all zero for the empty one. It is a valid model after every
 * call. Absorbs one model. */
int32_t fm_absorb(float *precision, float *mean, size_t n, float *weight, uint32_t *absorbed, const fm_model *model);

#define FM_FISHER_HEADER 64

/* Numbers of the state of a Fisher of `n` parameters. */
size_t fm_fisher_state_len(size_t n);

/* Starts a Fisher from observed labels: clears the state, and writes the header that belongs to it. */
int32_t fm_fisher_start(float *state, size_t n, uint64_t model, uint8_t header[FM_FISHER_HEADER]);

/* Adds the gradient of one example, which was computed under a loss scale. */
int32_t fm_fisher_example(float *state, uint8_t header[FM_FISHER_HEADER], fm_numbers gradient, float loss_scale);

/* The Fisher: means of squared gradients, as many as there are parameters. */
int32_t fm_fisher_finish(float *state, const uint8_t header[FM_FISHER_HEADER], float *fisher);

#ifdef __cplusplus
}
#endif

#endif
