/* fisher-merge for C: merges of models as Gaussian posteriors, running products and Fishers, in f32 arithmetic.
 *
 * No heap, no state of its own, no panics. All memory is the caller's. Every function that gives an int32_t gives FM_OK or why it refused:
 * a positive number is the code of the Rust library's error (Error::code), which never changes its meaning, a negative one is of this
 * interface. Where a call is refused, nothing was written, unless said otherwise.
 *
 * Pointers must be aligned for their type and valid for the lengths that are given; a null pointer is refused (FM_NULL) unless said
 * otherwise. What is written must not overlap what is read.
 *
 * The library has no lock: threads may share what is read, not what is written.
 */

#ifndef FISHER_MERGE_H
#define FISHER_MERGE_H

/* Made by cbindgen from the comments in tests/firmware/c/src, which is the place for changes. */

#include <stddef.h>
#include <stdint.h>

// Done. The codes above zero are the library's, those below zero of this interface.
#define FM_OK 0

// There is no model.
#define FM_NO_MODELS 1

// A weight is NaN, infinite or negative.
#define FM_BAD_WEIGHT 4

// Every weight is zero, so that nothing takes part.
#define FM_ALL_WEIGHTS_ZERO 5

// A mean, a precision or a gradient is NaN or infinite, or a precision is negative.
#define FM_BAD_NUMBER 6

// No model has evidence at an element, which FM_REFUSE refuses.
#define FM_NO_EVIDENCE 7

// A Fisher's header is of another estimator than observed labels.
#define FM_FISHER_ESTIMATOR 32

// A Fisher's header is of another number of parameters or of slots.
#define FM_FISHER_LENGTH 35

// A Fisher has no examples yet.
#define FM_NO_EXAMPLES 39

// A loss scale is NaN, zero or negative, or its inverse is no normal number.
#define FM_BAD_LOSS_SCALE 42

// A Fisher's header has a count of zero where there must be one.
#define FM_FISHER_ZERO 43

// The bytes are no header of a Fisher.
#define FM_FISHER_FOREIGN 45

// A Fisher's header is of another version.
#define FM_FISHER_VERSION 46

// A Fisher's header is of sums of another type than float.
#define FM_FISHER_ELEMENT 47

// The counts in a Fisher's header are not those of its state: they do not belong together.
#define FM_FISHER_COUNTS 48

// A Fisher's header is of another structure than a diagonal.
#define FM_FISHER_STRUCTURE 52

// A pointer is null that must not be.
#define FM_NULL -1

// No storage type has this number.
#define FM_TYPE -2

// More models than FM_MODELS_MAX.
#define FM_MODELS -3

// No policy has this number.
#define FM_POLICY -4

// A storage type: float.
#define FM_F32 1

// A storage type: patterns of IEEE binary16, as uint16_t of this machine.
#define FM_F16 2

// A storage type: patterns of bfloat16, as uint16_t of this machine.
#define FM_BF16 3

// Models that one merge takes at most; more go one after the other through fm_absorb.
#define FM_MODELS_MAX 8

// What an element without evidence gets: the mean of the first model that takes part.
#define FM_KEEP_TARGET 0

// What an element without evidence gets: the mean of all models, by their weights alone.
#define FM_WEIGHTED_MEAN 1

// What an element without evidence gets: the merge is refused (FM_NO_EVIDENCE).
#define FM_REFUSE 2

// Bytes of the header of a Fisher's state, which the two travel with: little-endian, the same on every machine.
#define FM_FISHER_HEADER 64

// Numbers to read; how many is said by the function.
typedef struct {
    // FM_F32, FM_F16 or FM_BF16.
    uint32_t type;
    // The first of them.
    const void *data;
} fm_numbers;

// A posterior and its weight.
typedef struct {
    // The parameters.
    fm_numbers mean;
    // Their Fisher, the diagonal. One whose data is null is one everywhere: the plain average.
    fm_numbers fisher;
    // Zero or more; a model of weight zero takes no part.
    float weight;
} fm_model;

// Numbers to write; each is rounded once to its type.
typedef struct {
    // FM_F32, FM_F16 or FM_BF16.
    uint32_t type;
    // The first of them.
    void *data;
} fm_numbers_out;

// What a merge counted.
typedef struct {
    // The elements of the merge.
    uint64_t elements;
    // Those where no model had evidence.
    uint64_t no_evidence;
    // Results that left a range: a precision that saturated, a finite mean that its storage type made infinite.
    uint64_t out_of_range;
} fm_summary;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Merges `count` models of `n` parameters each into `mean`. `precision` gets the merged precision, the Fisher of the merged model, and
// `summary` the counts; both may be null. `no_evidence` is FM_KEEP_TARGET, FM_WEIGHTED_MEAN or FM_REFUSE. All numbers are looked at before
// the first is written, but for FM_REFUSE, whose refusal comes on the way.
int32_t fm_merge(const fm_model *models,
                 size_t count,
                 size_t n,
                 uint32_t no_evidence,
                 fm_numbers_out mean,
                 float *precision,
                 fm_summary *summary);

// Absorbs one more model into a running product of `n` parameters, which is two arrays and two numbers of the caller's: all zero for the
// empty one. `weight` is the sum of the weights and `absorbed` the number of models so far. The product is a valid model after every call;
// an element without evidence has the mean of the first model.
int32_t fm_absorb(float *precision, float *mean, size_t n, float *weight, uint32_t *absorbed, const fm_model *model);

// How many floats the state of a Fisher of `n` parameters has.
size_t fm_fisher_state_len(size_t n);

// Starts a Fisher of `n` parameters from observed labels: clears the `fm_fisher_state_len(n)` floats of `state`, and writes the header that
// belongs to it. `model` is a tag of the caller's, such as a hash of the parameters: Fishers of other tags do not combine.
int32_t fm_fisher_start(float *state, size_t n, uint64_t model, uint8_t header[FM_FISHER_HEADER]);

// Adds an example: the squares of the `n` numbers of its `gradient`, which was computed of a loss times `loss_scale` (1 for one as it is).
// State and header are those of `fm_fisher_start`, or what was kept of them; a header that does not describe a state of `n` parameters is
// refused.
int32_t fm_fisher_example(float *state, size_t n, uint8_t header[FM_FISHER_HEADER], fm_numbers gradient, float loss_scale);

// Writes the Fisher, the `n` means of squared gradients over the examples, to `fisher`. More examples may follow.
int32_t fm_fisher_finish(float *state, size_t n, const uint8_t header[FM_FISHER_HEADER], float *fisher);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FISHER_MERGE_H */
